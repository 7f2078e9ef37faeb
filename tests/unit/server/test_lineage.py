"""From an answer back to its model, data and clients; what was never recorded is not made up."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from catalog.manifest import manifest_sha256, version_key
from catalog.objects import DirectoryStore
from server.client_runs import REASONS
from server.lineage import _clients, _run, _state, is_built_by
from server.tracking import Run
from tests.unit.server.registry import index_of, model

OLD = Run("r", "1", "old", "FINISHED", {}, {}, {})


def test_index_belongs_to_a_model_by_its_hash_not_by_its_number_alone() -> None:
    index = index_of("1", 7)
    assert is_built_by(index, model("1"))
    assert not is_built_by(index, model("2"))
    assert not is_built_by(dataclasses.replace(index, model_hash="another registry's"), model("1"))


def test_manifest_that_was_changed_or_removed_is_told_apart(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    assert _state(store, "v1", "0" * 64) == "removed"
    store.put(version_key("v1"), b"{}")
    assert _state(store, "v1", manifest_sha256(store, "v1")) == "unchanged"
    assert _state(store, "v1", "0" * 64) == "changed"
    assert _state(store, "v1", None) == "not recorded"


def test_run_of_an_older_release_says_what_it_did_not_record() -> None:
    found = _run(OLD, "url")
    assert (found["code_version"], found["privacy"], found["started_from"]) == (None, None, None)
    assert found["traffic"] == {"bytes_up": None, "bytes_down": None, "seconds": None}


def test_code_by_which_a_run_went_on_counts() -> None:
    run = dataclasses.replace(OLD, params={"code_version": "first"}, tags={"code_version": "second"})
    assert _run(run, "url")["code_version"] == "second"


def test_clients_are_those_with_a_run_of_their_own_with_what_came_of_them() -> None:
    metrics = {"total_accepted": 2.0, "total_rejected": 1.0, "total_silent": 0.0, "total_bytes_up": 5e6}
    run = dataclasses.replace(OLD, metrics=metrics, tags={REASONS: "round 1: too long"})
    (client,) = _clients(None, {"aurora": run})
    assert client["rounds"] == {"accepted": 2, "rejected": 1, "silent": 0}
    assert (client["bytes_up"], client["bytes_down"], client["products"]) == (5_000_000, None, None)
    assert client["reasons"] == ["round 1: too long"]
