from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.objects import DirectoryStore
from federation.presets import load_preset
from federation.tensors import Tensors
from server.about import About
from server.checkpoints import Checkpoint, RunFolder
from server.errors import ModelDamaged, RunDiffers, RunTakenOver
from server.memory import Memory
from server.models import read_model, write_model
from server.reports import RoundReport
from tests.models import tiny_spec, tiny_state

PRESET = load_preset("tiny")
ABOUT = About({"rounds": 3, "seed": 0}, "v1", "b" * 64)


def report(number: int) -> RoundReport:
    return RoundReport(
        round=number, recall_at_10=0.2, recall_at_1=0.1, mrr=0.1, replies=2, rejected=1, bytes_up=1, bytes_down=1,
        seconds=1.0, loss=1.0, rejections=("boreal: no",), silent=("cobre: gone",), asked=4, norms={"aurora": 0.5},
        coverage={"aurora": {"trained": 9, "held": 10, "skipped": {"unreadable": 1}}},
    )  # fmt: skip


def checkpoint(number: int, heads: Tensors, *, best: int = 1) -> Checkpoint:
    state = {name: array + np.float32(number) for name, array in heads.items()}
    memory = Memory((0.1, 0.25), frozenset({"d1", "d2"}))
    return Checkpoint(
        state, {"momentum": heads["heads.image.weight"]}, memory, tuple(map(report, range(1, number + 1))), best
    )


@pytest.fixture
def heads() -> Tensors:
    return tiny_state(seed=3)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder(DirectoryStore(tmp_path), "run-1")
    found.take_over()
    return found


def test_checkpoint_comes_back_bit_by_bit(folder: RunFolder, heads: Tensors) -> None:
    assert folder.last() is None
    saved = checkpoint(1, heads)
    folder.commit(saved)
    found = folder.last()
    assert found is not None
    assert (found.round, found.best_round) == (1, 1)
    assert (found.memory, found.reports) == (saved.memory, saved.reports)
    for name, array in saved.state.items():
        np.testing.assert_array_equal(found.state[name], array)
    np.testing.assert_array_equal(found.optimiser["momentum"], heads["heads.image.weight"])


def test_parts_without_their_marker_do_not_count(tmp_path: Path, folder: RunFolder, heads: Tensors) -> None:
    folder.commit(checkpoint(1, heads))
    for kind in ("safetensors", "optimiser.safetensors", "json"):
        (tmp_path / "run-1" / f"round-0002.{kind}").write_bytes(b"half")
    found = folder.last()
    assert found is not None
    assert found.round == 1


@pytest.mark.parametrize("kind", ["safetensors", "optimiser.safetensors", "json"])
def test_changed_part_is_refused(tmp_path: Path, folder: RunFolder, heads: Tensors, kind: str) -> None:
    folder.commit(checkpoint(1, heads))
    path = tmp_path / "run-1" / f"round-0001.{kind}"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelDamaged, match=f"round-0001.{kind}"):
        folder.last()


def test_the_last_two_rounds_and_the_best_are_kept(tmp_path: Path, folder: RunFolder, heads: Tensors) -> None:
    for number in range(1, 6):
        folder.commit(checkpoint(number, heads, best=min(number, 2)))
    kept = {path.name for path in (tmp_path / "run-1").glob("round-*")}
    states = {name for name in kept if name.count(".") == 1 and name.endswith(".safetensors")}
    assert states == {f"round-000{number}.safetensors" for number in (2, 4, 5)}
    assert len(kept) == 7
    np.testing.assert_array_equal(folder.state_after(2)["heads.log_scale"], heads["heads.log_scale"] + np.float32(2))
    assert len(folder.state_sha256(2)) == 64


def test_run_is_begun_once_and_keeps_its_identity(tmp_path: Path, folder: RunFolder) -> None:
    begun = folder.begin(ABOUT)
    assert begun.identity
    assert RunFolder(DirectoryStore(tmp_path), "run-1").begin(ABOUT) == begun


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"rounds": 5, "seed": 0}}, "rounds was 3, now 5"),
        ({"catalogue_version": "v2"}, "the catalogue v1, now there is v2"),
        ({"base_hash": "c" * 64}, "base model"),
    ],
)
def test_run_cannot_go_on_as_another(folder: RunFolder, change: dict[str, Any], message: str) -> None:
    folder.begin(ABOUT)
    with pytest.raises(RunDiffers, match=message):
        folder.begin(dataclasses.replace(ABOUT, **change))


def test_folder_that_was_taken_over_accepts_nothing_that_counts_of_the_one_before(
    tmp_path: Path, folder: RunFolder, heads: Tensors
) -> None:
    other = RunFolder(DirectoryStore(tmp_path), "run-1")
    other.take_over()
    assert not folder.is_mine
    with pytest.raises(RunTakenOver):
        folder.commit(checkpoint(1, heads))
    with pytest.raises(RunTakenOver):
        folder.note_unmasking(1)
    with pytest.raises(RunTakenOver):
        folder.finish({"chosen_round": 1})
    assert (other.unmaskings(1), other.result()) == (0, None)
    other.commit(checkpoint(1, heads))
    other.note_unmasking(1)
    other.finish({"chosen_round": 1})
    assert (folder.unmaskings(1), folder.result()) == (1, {"chosen_round": 1})


def test_scheduler_s_run_id_becomes_a_safe_folder_always_the_same(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    first, again = (RunFolder(store, "manual__2026-01-01T00:00:00+00:00/../x") for _ in range(2))
    first.say("rounds", done=1, total=3)
    assert again.status() is not None
    assert "/" not in first.name
    assert ":" not in first.name


def test_clearing_forgets_this_run_only(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    one, other = RunFolder(store, "run-1"), RunFolder(store, "run-10")
    for folder in (one, other):
        folder.take_over()
    one.finish({"a": 1})
    other.finish({"a": 2})
    one.clear()
    assert one.result() is None
    assert other.result() == {"a": 2}


def test_model_comes_back_only_as_it_was_registered(tmp_path: Path, heads: Tensors) -> None:
    content_hash = write_model(tmp_path, tiny_spec(), heads, card="# card")
    stored = read_model(tmp_path, content_hash=content_hash)
    np.testing.assert_array_equal(stored.state["heads.image.weight"], heads["heads.image.weight"])
    assert stored.encoder("float32").dimension == PRESET.embed_dim


@pytest.mark.parametrize("name", ["trained.safetensors", "model.json"])
def test_model_with_one_changed_byte_is_never_loaded(tmp_path: Path, heads: Tensors, name: str) -> None:
    content_hash = write_model(tmp_path, tiny_spec(), heads, card="# card")
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:-2] + b" " + data[-1:])
    with pytest.raises(ModelDamaged):
        read_model(tmp_path, content_hash=content_hash)


def test_model_that_was_swapped_whole_is_refused(tmp_path: Path, heads: Tensors) -> None:
    """Someone who may write the files may write their hashes too; the registry's word decides."""
    content_hash = write_model(tmp_path, tiny_spec(), heads, card="# card")
    write_model(tmp_path, tiny_spec(), tiny_state(seed=4), card="# card")
    with pytest.raises(ModelDamaged, match="registry"):
        read_model(tmp_path, content_hash=content_hash)


def test_missing_file_is_named(tmp_path: Path, heads: Tensors) -> None:
    content_hash = write_model(tmp_path, tiny_spec(), heads, card="# card")
    (tmp_path / "model.json").unlink()
    with pytest.raises(ModelDamaged, match=r"model\.json"):
        read_model(tmp_path, content_hash=content_hash)
