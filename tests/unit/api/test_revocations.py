"""What a process knows of sessions that are over, what it does when it cannot know, and that it asks nobody for it."""

from __future__ import annotations

import time
from collections.abc import Set
from dataclasses import dataclass, field

import pytest

from api.errors import SessionsUnknown
from api.revocations import REMEMBERED_S, STALE_S, Revocations
from catalog.errors import DatabaseUnreachable
from security.errors import Unauthenticated
from security.tokens import LEEWAY_S, MAX_LIFETIME_S


@dataclass
class Truth:
    """PostgreSQL's answer, and a clock."""

    families: set[str] = field(default_factory=set)
    is_down: bool = False
    now: float = 1000.0
    asked: int = 0

    def revoked(self, within_s: float) -> Set[str]:
        assert within_s == REMEMBERED_S > MAX_LIFETIME_S + LEEWAY_S
        self.asked += 1
        if self.is_down:
            raise DatabaseUnreachable("it did not answer")
        return frozenset(self.families)

    def clock(self) -> float:
        return self.now


@pytest.fixture
def truth() -> Truth:
    return Truth()


@pytest.fixture
def revocations(truth: Truth) -> Revocations:
    return Revocations(truth.revoked, clock=truth.clock)


def is_refused(revocations: Revocations, family: str) -> bool:
    try:
        revocations.refuse_revoked(family)
    except Unauthenticated:
        return True
    return False


def test_what_others_revoked_counts_from_the_next_look_on(truth: Truth, revocations: Revocations) -> None:
    revocations.look()
    truth.families.add("stolen")
    assert not is_refused(revocations, "stolen")
    revocations.look()
    assert is_refused(revocations, "stolen")
    assert not is_refused(revocations, "another")


def test_a_request_asks_nobody(truth: Truth, revocations: Revocations) -> None:
    revocations.look()
    for number in range(1000):
        is_refused(revocations, str(number))
    assert truth.asked == 1


def test_what_this_process_revoked_counts_at_once_and_outlives_a_look_that_was_under_way(
    truth: Truth, revocations: Revocations
) -> None:
    revocations.look()
    revocations.add("mine")
    assert is_refused(revocations, "mine")
    revocations.look()
    assert is_refused(revocations, "mine")
    truth.now += REMEMBERED_S
    revocations.look()
    assert not is_refused(revocations, "mine")


def test_before_the_first_look_nobody_is_let_in(truth: Truth, revocations: Revocations) -> None:
    with pytest.raises(SessionsUnknown):
        revocations.refuse_revoked("any")
    truth.is_down = True
    revocations.look()
    with pytest.raises(SessionsUnknown):
        revocations.refuse_revoked("any")


def test_a_database_that_is_away_for_long_lets_nobody_in_until_it_is_back(
    truth: Truth, revocations: Revocations
) -> None:
    truth.families.add("stolen")
    revocations.look()
    truth.is_down = True
    truth.now += STALE_S
    revocations.look()
    assert not is_refused(revocations, "any")
    assert is_refused(revocations, "stolen")
    truth.now += 0.1
    with pytest.raises(SessionsUnknown):
        revocations.refuse_revoked("any")
    assert is_refused(revocations, "stolen")
    truth.is_down = False
    revocations.look()
    assert not is_refused(revocations, "any")


def test_the_thread_looks_by_itself_and_stops_when_told(truth: Truth) -> None:
    revocations = Revocations(truth.revoked, poll_s=0.01, clock=truth.clock)
    revocations.start()
    assert truth.asked >= 1
    truth.families.add("stolen")
    deadline = time.monotonic() + 5
    while not is_refused(revocations, "stolen"):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    revocations.stop()
    asked = truth.asked
    time.sleep(0.05)
    assert truth.asked == asked


def test_an_error_that_nobody_expected_ends_no_thread(truth: Truth, capsys: pytest.CaptureFixture[str]) -> None:
    failures = [ValueError("a row of another form")]

    def revoked(within_s: float) -> Set[str]:
        if failures:
            raise failures.pop()
        return truth.revoked(within_s)

    revocations = Revocations(revoked, poll_s=0.01, clock=truth.clock)
    truth.families.add("stolen")
    revocations.start()
    deadline = time.monotonic() + 5
    while not is_known(revocations, "any"):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    revocations.stop()
    assert is_refused(revocations, "stolen")
    captured = capsys.readouterr()
    assert "a row of another form" in captured.out + captured.err


def is_known(revocations: Revocations, family: str) -> bool:
    try:
        revocations.refuse_revoked(family)
    except SessionsUnknown:
        return False
    return True


def test_an_outage_is_logged_once(truth: Truth, revocations: Revocations, capsys: pytest.CaptureFixture[str]) -> None:
    truth.is_down = True
    for _ in range(5):
        revocations.look()
    truth.is_down = False
    revocations.look()
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert said.count("revoked sessions are not known") == 1
    assert said.count("revoked sessions are known again") == 1
