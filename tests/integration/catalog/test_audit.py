"""The trail of model changes on a real PostgreSQL: it grows, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from catalog.audit import Action, AuditTrail
from catalog.errors import DatabaseRefused

pytestmark = pytest.mark.integration


@pytest.fixture
def trail(dsn: str) -> Iterator[AuditTrail]:
    with AuditTrail(dsn) as trail:
        yield trail


def record(trail: AuditTrail, action: Action, before: str | None, after: str, *, reason: str = "why") -> None:
    trail.record(action, actor="ana", model_name="fashion-clip", from_version=before, to_version=after, reason=reason)


def test_changes_are_read_newest_first_with_who_when_and_why(trail: AuditTrail) -> None:
    record(trail, "promoted", None, "1")
    record(trail, "refused", "1", "2", reason="not better")
    record(trail, "rolled_back", "3", "1")
    found = trail.changes("fashion-clip")
    assert [(c.action, c.from_version, c.to_version) for c in found] == [
        ("rolled_back", "3", "1"),
        ("refused", "1", "2"),
        ("promoted", None, "1"),
    ]
    assert found[1].reason == "not better"
    assert all(change.actor == "ana" and change.at.tzinfo for change in found)
    assert trail.changes("fashion-clip", limit=1) == found[:1]
    assert trail.changes("other") == []


def test_who_was_champion_is_known_from_both_ends_of_a_change(trail: AuditTrail) -> None:
    record(trail, "refused", "4", "2")
    record(trail, "overridden", "3", "1")
    assert [trail.was_champion("fashion-clip", version) for version in "12345"] == [True, False, True, True, False]
    assert not trail.was_champion("other", "1")


@pytest.mark.parametrize(
    "statement", ["UPDATE model_changes SET reason = 'x'", "DELETE FROM model_changes", "TRUNCATE model_changes"]
)
def test_what_was_written_stays(trail: AuditTrail, dsn: str, statement: str) -> None:
    record(trail, "promoted", None, "1")
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.RaiseException, match="stays"):
        connection.execute(statement)
    assert len(trail.changes("fashion-clip")) == 1


def test_change_without_a_reason_is_refused(trail: AuditTrail) -> None:
    with pytest.raises(DatabaseRefused):
        record(trail, "rolled_back", "2", "1", reason="")
