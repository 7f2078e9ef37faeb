"""Starting many things at once, each after what it needs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import pytest

from embedded.starting import Cancelled, Step, start_all


@dataclass(frozen=True)
class Thing:
    slug: str
    needs: tuple[str, ...] = ()


def test_each_starts_after_what_it_needs() -> None:
    order: list[str] = []
    things = [Thing("api", ("tables",)), Thing("tables", ("database", "store")), Thing("database"), Thing("store")]
    start_all(things, lambda step: order.append(step.slug), threading.Event())
    assert set(order[:2]) == {"database", "store"}
    assert order[2:] == ["tables", "api"]


def test_those_that_need_nothing_start_at_the_same_time() -> None:
    together = threading.Barrier(3)
    met: list[str] = []

    def start(step: Step) -> None:
        together.wait(timeout=5)
        met.append(step.slug)

    start_all([Thing("a"), Thing("b"), Thing("c")], start, threading.Event())
    assert sorted(met) == ["a", "b", "c"]


def test_the_first_failure_is_raised_and_what_needs_it_never_starts() -> None:
    started: list[str] = []

    def start(step: Step) -> None:
        if step.slug == "database":
            raise OSError("no space left")
        started.append(step.slug)

    cancel = threading.Event()
    with pytest.raises(OSError, match="no space left"):
        start_all([Thing("api", ("database",)), Thing("database")], start, cancel)
    assert started == []
    assert cancel.is_set()


def test_a_failure_ends_the_wait_of_the_others() -> None:
    cancel = threading.Event()

    def start(step: Step) -> None:
        if step.slug == "crashes":
            time.sleep(0.1)
            raise OSError("crashed")
        if cancel.wait(30):
            raise Cancelled

    began = time.monotonic()
    with pytest.raises(OSError, match="crashed"):
        start_all([Thing("crashes"), Thing("waits")], start, cancel)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("things", [[Thing("a", ("b",)), Thing("b", ("a",))], [Thing("a", ("absent",))]])
def test_needs_that_cannot_be_met_are_refused_at_once(things: list[Thing]) -> None:
    with pytest.raises(ValueError, match="cannot start"):
        start_all(things, lambda step: None, threading.Event())
