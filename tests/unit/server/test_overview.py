"""What an operator's page is told, and how seldom that costs anything."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalog.objects import DirectoryStore
from core.errors import TejidoError
from server.about import About
from server.checkpoints import RunFolder
from server.errors import TrackingUnreachable
from server.overview import Overview
from server.remembered import Remembered
from server.reports import RoundReport
from server.run_list import RunList
from server.run_views import clients_of, view
from tests.unit.api.operating import FakeModels, FakeTrail
from tests.unit.server.registry import FakeIndex
from tests.unit.server.results import run_result


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_answer_is_asked_for_again_once_it_is_old() -> None:
    clock, asked = Clock(), []
    remembered = Remembered(lambda: asked.append(1) or len(asked), for_s=2, clock=clock)  # type: ignore[func-returns-value]
    assert [remembered(), remembered()] == [1, 1]
    clock.now = 2
    assert remembered() == 2
    remembered.forget()
    assert remembered() == 3


def test_part_that_is_away_is_not_asked_by_everybody() -> None:
    clock, asked = Clock(), []

    def ask() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise TrackingUnreachable("It is gone.")
        return 7

    remembered = Remembered(ask, for_s=2, clock=clock)
    for _ in range(3):
        with pytest.raises(TejidoError, match="gone"):
            remembered()
    assert len(asked) == 1
    clock.now = 3
    assert remembered() == 7


def test_many_who_ask_at_once_ask_once() -> None:
    asked, begins = [], threading.Barrier(8)

    def ask() -> int:
        asked.append(1)
        return 7

    remembered = Remembered(ask, for_s=60)

    def look() -> None:
        begins.wait()
        remembered()

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1


def test_runs_are_listed_by_their_last_word(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for key in ("one", "two"):
        RunFolder(store, key).say("rounds")
    status = tmp_path / "one" / "status.json"
    status.write_text(status.read_text().replace('"at": "2', '"at": "9'))
    runs = RunList(store)
    assert set(runs.statuses()) == {"one", "two"}
    assert runs.newest_first() == ["one", "two"]


class CountingStore(DirectoryStore):
    """Counts what is read."""

    reads = 0

    def get(self, key: str) -> bytes:
        self.reads += 1
        return super().get(key)


def test_completed_run_is_read_once_and_one_that_goes_on_each_time(tmp_path: Path) -> None:
    store = CountingStore(tmp_path)
    overview = Overview(store=lambda: store, registry=FakeModels, indexes=FakeIndex(), trail=FakeTrail())
    folder = RunFolder(store, "one")
    folder.say("rounds", total=3)
    for _ in range(2):
        before = store.reads
        assert overview.run("one") is not None
        assert store.reads > before
    folder.take_over()
    folder.finish(run_result())
    folder.say("completed", rounds=run_result()["rounds"])
    assert overview.run("one") is not None
    before = store.reads
    found = overview.run("one")
    assert found is not None
    assert (found.result["chosen_round"], store.reads) == (3, before)


def test_run_that_has_said_nothing_for_an_hour_is_silent_and_no_round_of_it_goes_on(tmp_path: Path) -> None:
    folder = RunFolder(DirectoryStore(tmp_path), "one")
    assert view(folder, datetime.now(UTC)) is None
    folder.begin(About({"rounds": 3}, "v1", "b"))
    folder.say("rounds", total=3, rounds=run_result(rounds=1)["rounds"])
    now = datetime.now(UTC)
    running, silent = view(folder, now), view(folder, now + timedelta(hours=2))
    assert running is not None
    assert silent is not None
    assert [(found.state, len(found.rounds)) for found in (running, silent)] == [("running", 2), ("silent", 1)]


def test_who_was_rejected_in_a_first_attempt_and_counted_in_the_second_was_accepted() -> None:
    whole = run_result(rounds=1)["rounds"][0]
    entries = {"rejections": ["attempt 1: aurora: not a number"], "silent": ["cobre: not online: it left"], "norms": {"aurora": 1.0}}  # fmt: skip # noqa: E501
    found = clients_of(RoundReport.from_dict({**whole, **entries}))
    assert [(client.name, client.fate, client.reason) for client in found] == [
        ("aurora", "accepted", ""),
        ("cobre", "silent", "not online: it left"),
    ]
