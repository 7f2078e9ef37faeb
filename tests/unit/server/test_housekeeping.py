"""What is removed, and what stays whatever its age."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalog.objects import DirectoryStore
from server.checkpoints import RunFolder
from server.housekeeping import clean_checkpoints

NOW = datetime.now(UTC)
MONTH_AGO = NOW - timedelta(days=30)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "checkpoints")


def run(store: DirectoryStore, name: str, *, days_ago: int, is_finished: bool) -> RunFolder:
    """A run of three rounds of which the second was chosen."""
    for number in (2, 3):
        for kind in ("safetensors", "optimiser.safetensors", "json"):
            store.put(f"{name}/round-{number:04d}.{kind}", b"x")
    at = (NOW - timedelta(days=days_ago)).isoformat(timespec="seconds")
    store.put(f"{name}/status.json", json.dumps({"stage": "rounds", "at": at}).encode())
    folder = RunFolder(store, name)
    folder.take_over()
    if is_finished:
        folder.finish({"run_id": name, "chosen_round": 2})
    return folder


def test_old_finished_runs_keep_their_result_and_the_state_that_was_chosen(store: DirectoryStore) -> None:
    folders = [run(store, f"run-{days}", days_ago=days, is_finished=True) for days in (1, 2, 90)]
    assert clean_checkpoints(store, keep_runs=1, before=MONTH_AGO) == (["run-2", "run-90"], [])
    assert len(list(store.list("run-1/round-"))) == 6
    for folder in folders[1:]:
        assert list(store.list(f"{folder.name}/round-")) == [f"{folder.name}/round-0002.safetensors"]
        assert folder.result() == {"run_id": folder.name, "chosen_round": 2}
    assert clean_checkpoints(store, keep_runs=1, before=MONTH_AGO) == ([], [])


def test_runs_that_broke_off_stay_while_somebody_may_go_on_with_them(store: DirectoryStore) -> None:
    run(store, "fresh", days_ago=29, is_finished=False)
    run(store, "stale", days_ago=31, is_finished=False)
    store.put("begun/run.json", b"{}")
    # A wave whose starter died after it had ended.
    run(store, "wave-1", days_ago=31, is_finished=False).finish({"clients": {}})
    assert clean_checkpoints(store, keep_runs=1, before=MONTH_AGO) == ([], ["stale", "wave-1"])
    assert {key.split("/")[0] for key in store.list("")} == {"fresh", "begun"}
