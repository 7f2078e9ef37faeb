"""How long work tells how far it is: to a terminal, to a log, or to another process through Valkey."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Protocol, TypeVar

from valkey import Valkey
from valkey.exceptions import ValkeyError

T = TypeVar("T")
EXPIRES_S = 24 * 3600


class Progress(Protocol):
    """Told of every step of a long piece of work; must be cheap and must never fail the work."""

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Say that ``done`` of ``total`` (unknown: None) of ``stage`` is done."""


class NoProgress:
    """For callers that do not look."""

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Nothing to tell."""


class LogProgress:
    """One line when a stage starts, one every few seconds, one when it ends: for task logs and pipes."""

    def __init__(self, *, every_s: float = 5.0) -> None:
        self._every_s = every_s
        self._last: dict[str, float] = {}

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Print the line if it is due."""
        now = time.monotonic()
        if done != total and now - self._last.get(stage, -self._every_s) < self._every_s:
            return
        self._last[stage] = now
        of = f" of {total:,}" if total is not None else ""
        print(f"{stage}: {done:,}{of} {detail}".rstrip(), file=sys.stderr, flush=True)


class SharedProgress:
    """Kept in a Valkey hash, one field a stage, so that another process can draw it."""

    def __init__(self, valkey_url: str, key: str, *, every_s: float = 0.3) -> None:
        self._valkey = Valkey.from_url(valkey_url, socket_timeout=1, socket_connect_timeout=1)
        self._key = key
        self._every_s = every_s
        self._last: dict[str, float] = {}

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Share it, at most a few times a second."""
        now = time.monotonic()
        if done != total and now - self._last.get(stage, -self._every_s) < self._every_s:
            return
        self._last[stage] = now
        # Progress is a courtesy: losing Valkey must never fail the work that it describes.
        with suppress(ValkeyError):
            self._valkey.hset(self._key, stage, json.dumps({"done": done, "total": total, "detail": detail}))
            self._valkey.expire(self._key, EXPIRES_S)


class Everyone:
    """Tells several listeners."""

    def __init__(self, *listeners: Progress) -> None:
        self._listeners = listeners

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Tell each of them."""
        for listener in self._listeners:
            listener.update(stage, done, total, detail)


def track(items: Iterable[T], progress: Progress, stage: str, *, total: int | None = None) -> Iterator[T]:
    """Yield ``items``, telling ``progress`` after each."""
    done = 0
    progress.update(stage, 0, total)
    for item in items:
        yield item
        done += 1
        progress.update(stage, done, total)
    progress.update(stage, done, done)
