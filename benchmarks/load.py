"""Asks an HTTP server the same thing again and again, and times each answer: as fast as it can, or at a rate.

Requests are bytes made before, on connections that stay open, so that on two cores what is measured is the server.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

Check = Callable[[bytes], None]
READY_S = 0.5
"""Before the first request is due: thousands of tasks are made meanwhile, and connections are warm."""


@dataclass(frozen=True)
class Asked:
    """A request as it goes over the wire, and who looks at the body of its answer."""

    host: str
    port: int
    data: bytes
    check: Check


@dataclass
class Answers:
    """What a run of requests was like."""

    seconds: float = 0.0
    """From the first request to the last answer."""
    latencies: list[float] = field(default_factory=list)
    """Seconds of each answer that was right, from when it was due."""
    failures: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers that were right."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Seconds within which this share of the answers came."""
        return sorted(self.latencies)[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


def post(url: str, body: object, token: str, check: Check) -> Asked:
    """A request with a JSON body."""
    data = json.dumps(body).encode()
    return _request("POST", url, token, data, check)


def get(url: str, token: str, check: Check) -> Asked:
    """A request without one."""
    return _request("GET", url, token, b"", check)


def _request(method: str, url: str, token: str, body: bytes, check: Check) -> Asked:
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return Asked(parts.hostname or "", parts.port or 80, head.encode() + body, check)


def as_fast_as_possible(asked: Sequence[Asked], *, connections: int, seconds: float) -> Answers:
    """Each connection asks as soon as it has its answer."""
    return asyncio.run(_closed(asked, connections, seconds))


def at_rate(asked: Sequence[Asked], *, per_second: float, seconds: float, connections: int = 32) -> Answers:
    """A request is due every so often, whether the ones before are answered or not: none is left out of the count."""
    return asyncio.run(_open(asked, per_second, seconds, connections))


async def _closed(asked: Sequence[Asked], connections: int, seconds: float) -> Answers:
    answers, began = Answers(), time.perf_counter()

    async def ask(number: int) -> None:
        connection = await _Connection.open(asked[0])
        turn = number
        while time.perf_counter() - began < seconds:
            await connection.ask(asked[turn % len(asked)], time.perf_counter(), answers)
            turn += connections
        connection.close()

    await asyncio.gather(*(ask(number) for number in range(connections)))
    answers.seconds = time.perf_counter() - began
    return answers


async def _open(asked: Sequence[Asked], per_second: float, seconds: float, connections: int) -> Answers:
    answers, idle = Answers(), asyncio.Queue[_Connection]()
    for _ in range(connections):
        idle.put_nowait(await _Connection.open(asked[0]))
    # The first is due when all have been made ready: making thousands of tasks is no part of an answer.
    began = time.perf_counter() + READY_S

    async def ask(number: int) -> None:
        due = began + number / per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = await idle.get()
        await connection.ask(asked[number % len(asked)], due, answers)
        idle.put_nowait(connection)

    await asyncio.gather(*(ask(number) for number in range(int(per_second * seconds))))
    answers.seconds = time.perf_counter() - began
    while not idle.empty():
        idle.get_nowait().close()
    return answers


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, asked: Asked) -> _Connection:
        return cls(*await asyncio.open_connection(asked.host, asked.port))

    async def ask(self, asked: Asked, due: float, answers: Answers) -> None:
        self.writer.write(asked.data)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await self.reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            answers.failures.append(f"{head[:20]!r} {body[:200]!r}")
            return
        try:
            asked.check(body)
        except (AssertionError, ValueError, KeyError) as error:
            answers.failures.append(f"{type(error).__name__}: {error} in {body[:200]!r}")
            return
        answers.latencies.append(time.perf_counter() - due)

    def close(self) -> None:
        self.writer.close()
