from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catalog.objects import DirectoryStore
from federation.presets import load_preset
from federation.tensors import Tensors
from server.checkpoints import RoundReport, RunFolder
from server.errors import ModelDamaged
from server.models import read_model, write_model
from tests.models import tiny_spec, tiny_state

REPORT = RoundReport(
    round=1, recall_at_10=0.2, recall_at_1=0.1, mrr=0.1, replies=3, rejected=0, bytes_up=1, bytes_down=1, seconds=1.0,
    loss=1.0,
)  # fmt: skip
PRESET = load_preset("tiny")


@pytest.fixture
def heads() -> Tensors:
    return tiny_state(seed=3)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(DirectoryStore(tmp_path), "run-1")


def test_last_round_comes_back_bit_by_bit(folder: RunFolder, heads: Tensors) -> None:
    assert folder.last_round() is None
    folder.save_round(1, heads, REPORT)
    found = folder.last_round()
    assert found is not None
    assert found[0] == 1
    for name, array in heads.items():
        np.testing.assert_array_equal(found[1][name], array)


def test_state_without_its_marker_does_not_count(tmp_path: Path, folder: RunFolder, heads: Tensors) -> None:
    folder.save_round(1, heads, REPORT)
    (tmp_path / "run-1" / "round-0002.safetensors").write_bytes(b"half")
    found = folder.last_round()
    assert found is not None
    assert found[0] == 1


def test_changed_checkpoint_is_refused(tmp_path: Path, folder: RunFolder, heads: Tensors) -> None:
    folder.save_round(1, heads, REPORT)
    path = tmp_path / "run-1" / "round-0001.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelDamaged):
        folder.last_round()


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
    one.finish({"a": 1})
    other.finish({"a": 2})
    one.clear()
    assert one.result() is None
    assert other.result() == {"a": 2}


def test_model_comes_back_only_as_it_was_registered(tmp_path: Path, heads: Tensors) -> None:
    content_hash = write_model(tmp_path, tiny_spec(), heads, card="# card")
    stored = read_model(tmp_path, content_hash=content_hash)
    np.testing.assert_array_equal(stored.state["heads.image.weight"], heads["heads.image.weight"])
    assert stored.encoder().dimension == PRESET.embed_dim


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
