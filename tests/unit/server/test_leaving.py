"""What clients enrolled for, which models a client took part in, and how often its policy refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from catalog.objects import DirectoryStore
from server.enrolments import drop_limits, limits, note_admitted, note_removed, put_limits, removed, say_limit
from server.errors import EnrolmentUnreadable
from server.participation import parts_of
from server.tracking import ModelVersion, Run
from server.wave_folder import pages_of


def run(key: str, *, start_from: str = "", metrics: Mapping[str, float] | None = None, client: str = "") -> Run:
    tags = {"client": client} if client else {"run_key": key}
    return Run(f"id-{key}", "1", key, "FINISHED", {"start-from": start_from}, metrics or {}, tags)


class Registry:
    """MLflow as a dictionary: run → the run it starts from, and what came of Duna in it."""

    def __init__(self, runs: Mapping[str, tuple[str, dict[str, float] | None]]) -> None:
        self._runs = runs

    def versions(self) -> list[ModelVersion]:
        named = [
            ModelVersion("fashion-clip", str(number), f"id-{key}", "", "lite", "v1", (), 0, {})
            for number, key in enumerate(self._runs, start=1)
        ]
        return named[::-1]

    def run(self, run_id: str) -> Run:
        key = run_id.removeprefix("id-")
        return run(key, start_from=self._runs[key][0])

    def nested(self, parent: str) -> list[Run]:
        of_duna = self._runs[parent.removeprefix("id-")][1]
        others = [run("other", client="aurora", metrics={"total_accepted": 5.0})]
        return [*others, run("own", client="duna", metrics=of_duna)] if of_duna is not None else others


def parts(runs: Mapping[str, tuple[str, dict[str, float] | None]]) -> dict[str, tuple[int, int, str]]:
    found: list[dict[str, Any]] = parts_of(Registry(runs), "duna")
    return {part["run_key"]: (part["accepted"], part["rejected"], part["inherited_from"]) for part in found}


def test_a_client_took_part_where_its_updates_counted_and_where_that_was_gone_on_from() -> None:
    assert parts(
        {
            "before": ("", None),
            "with-it": ("before", {"total_accepted": 3.0, "total_rejected": 1.0}),
            "after": ("with-it", None),
            "later": ("after", None),
            "again": ("with-it", {"total_accepted": 1.0}),
            "apart": ("before", None),
        }
    ) == {
        "with-it": (3, 1, ""),
        "after": (0, 0, "with-it"),
        "later": (0, 0, "with-it"),
        "again": (1, 0, "with-it"),
    }


def test_updates_that_never_counted_are_told_and_are_in_no_model_after_that() -> None:
    assert parts({"refused": ("", {"total_accepted": 0.0, "total_rejected": 4.0}), "after": ("refused", None)}) == {
        "refused": (0, 4, "")
    }


def test_a_circle_of_runs_ends() -> None:
    assert parts({"a": ("b", None), "b": ("a", None)}) == {}


def test_limits_are_kept_and_forgotten_one_by_one(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert limits(store) == {}
    put_limits(store, "aurora", max_examples=5)
    put_limits(store, "boreal", max_examples=6)
    put_limits(store, "aurora", max_examples=7)
    assert limits(store) == {"aurora": 7, "boreal": 6}
    drop_limits(store, "aurora")
    drop_limits(store, "aurora")
    assert limits(store) == {"boreal": 6}


def test_who_was_removed_is_named_until_it_is_added_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert removed(store) == frozenset()
    for _ in range(2):
        note_removed(store, "aurora")
    note_removed(store, "boreal")
    assert removed(store) == {"aurora", "boreal"}
    for _ in range(2):
        note_admitted(store, "aurora")
    assert removed(store) == {"boreal"}


def test_what_a_wave_that_died_has_of_a_client_is_found_and_nothing_of_another(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for wave, client in (
        ("wave-1", "duna"),
        ("wave-2", "duna"),
        ("wave-1", "duna-2"),
        ("wave-1", "pages"),
        ("r", "duna"),
    ):
        for name in ("0000.f16", "0000.json"):
            store.put(f"{wave}/pages/{client}/{name}", b"")
    store.put("wave-1/order.json", b"")
    assert sorted(pages_of(store, "duna")) == [
        f"wave-{wave}/pages/duna/0000.{kind}" for wave in (1, 2) for kind in ("f16", "json")
    ]


def test_a_limit_stays_until_something_else_is_said_of_it(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert say_limit(store, "aurora", None) is None
    assert limits(store) == {}
    assert [say_limit(store, "aurora", limit) for limit in (5, None, 7, None)] == [5, 5, 7, 7]
    assert limits(store) == {"aurora": 7}
    assert [say_limit(store, "aurora", limit) for limit in ("none", None, "none")] == [None, None, None]
    assert limits(store) == {}


def test_a_damaged_limit_is_not_guessed_and_can_be_said_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.put("enrolments/aurora.json", b"[1]")
    with pytest.raises(EnrolmentUnreadable):
        say_limit(store, "aurora", None)
    assert say_limit(store, "aurora", 5) == 5
    assert limits(store) == {"aurora": 5}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"max_examples": true}', b'{"max_examples": 0}', b"[1]"])
def test_a_damaged_limit_lets_no_run_begin(tmp_path: Path, content: bytes) -> None:
    store = DirectoryStore(tmp_path)
    store.put("enrolments/aurora.json", content)
    with pytest.raises(EnrolmentUnreadable, match=r"enrolments/aurora\.json"):
        limits(store)
