"""Sealed checkpoints, models and waves on real files: each byte of each is flipped, and none is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from catalog.objects import DirectoryStore
from federation.config import FederationConfig
from security.artifact_keys import ArtifactKeys
from security.errors import ArtifactKeyMissing, ArtifactNotSealed, ArtifactRefused
from server.checkpoints import RunFolder
from server.models import read_model, write_model
from server.sealing import KEY, SEALED, Seals
from server.start import learned_before
from server.wave_folder import Order, WaveFolder
from tests.models import tiny_spec, tiny_state
from tests.unit.server.sealed import RUN, SMALL, run_folder, small
from tests.unit.server.test_checkpoints import ABOUT, checkpoint

ORDER = Order(spec="{}", model_version="1", model_hash="a", base_hash="b", dimension=4)


@pytest.fixture
def keys(tmp_path: Path) -> ArtifactKeys:
    return ArtifactKeys.open(tmp_path / "keys")


@pytest.fixture
def seals(keys: ArtifactKeys) -> Seals:
    return Seals(keys)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def every_flip(*files: Path) -> Iterator[str]:
    """Change each byte of each file in turn; the file is as it was after each."""
    for path in files:
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
            yield f"{path.name} byte {at}"
        path.write_bytes(whole)


def refused(load: Callable[[], object], what: str) -> None:
    try:
        load()
    except ArtifactRefused:
        return
    raise AssertionError(f"{what} was flipped, and it was loaded all the same")


def test_sealed_checkpoint_comes_back_bit_by_bit_and_lies_nowhere_plain(root: Path, seals: Seals) -> None:
    folder, heads = run_folder(root, seals), tiny_state(seed=3)
    for number in (1, 2, 3):
        folder.commit(checkpoint(number, heads))
    found = RunFolder(DirectoryStore(root), "run-1", seals).last()
    assert found is not None
    assert (found.round, found.best_round, found.memory.digests) == (3, 1, frozenset({"d1", "d2"}))
    for name, array in heads.items():
        np.testing.assert_array_equal(found.state[name], array + np.float32(3))
    np.testing.assert_array_equal(folder.state_after(1)["heads.log_scale"], heads["heads.log_scale"] + np.float32(1))
    assert len(folder.state_sha256(3)) == 64
    parts = {path.name for path in root.rglob("round-*")}
    assert all(name.endswith((SEALED, KEY)) for name in parts)
    # Three parts of each of two rounds, and the state of the best one; each with its key.
    assert len(parts) == 14
    secret = heads["heads.image.weight"].tobytes()[:64]
    assert not [path for path in root.rglob("*") if path.is_file() and secret in path.read_bytes()]


def test_every_flipped_byte_of_a_checkpoint_is_refused(root: Path, seals: Seals) -> None:
    folder = run_folder(root, seals)
    folder.commit(small(1))
    files = [path for path in root.rglob("*") if path.name.startswith("round-")]
    assert len(files) == 6
    flips = 0
    for what in every_flip(*files, root / "run-1" / "state.json", root / "run-1" / "run.json"):
        refused(folder.last, what)
        flips += 1
    assert flips > 2500
    assert folder.last() is not None


def test_lost_part_is_refused(root: Path, seals: Seals) -> None:
    folder = run_folder(root, seals)
    folder.commit(small(1))
    for path in list((root / "run-1").glob("round-*")):
        whole = path.read_bytes()
        path.unlink()
        refused(folder.last, path.name)
        path.write_bytes(whole)


def test_parts_of_another_round_or_run_are_refused(root: Path, seals: Seals) -> None:
    one, other = run_folder(root, seals), run_folder(root, seals, "run-2")
    for number in (1, 2):
        one.commit(small(number))
    other.commit(small(1))
    states = {path.name.split(".")[0]: path for path in (root / "run-1").glob("round-*.safetensors.*.sealed")
              if "optimiser" not in path.name}  # fmt: skip
    shutil.copy(states["round-0001"], states["round-0002"])
    refused(one.last, "the state of round 2, replaced by that of round 1")
    stranger = next(p for p in (root / "run-2").glob("*.sealed") if "optimiser" not in p.name and "json" not in p.name)
    shutil.copy(stranger, states["round-0002"])
    refused(one.last, "the state, replaced by that of another run")


def test_marker_and_parts_of_another_run_are_refused(root: Path, seals: Seals) -> None:
    run_folder(root, seals).commit(small(1))
    (root / "run-1").rename(root / "run-3")
    with pytest.raises(ArtifactRefused, match="is that of checkpoint run-1"):
        RunFolder(DirectoryStore(root), "run-3", seals).last()


def test_checkpoints_of_an_earlier_run_under_the_same_id_are_refused(root: Path, seals: Seals) -> None:
    first = run_folder(root, seals)
    first.commit(small(1))
    kept = {path.name: path.read_bytes() for path in (root / "run-1").iterdir() if path.name != "run.json"}
    first.clear()
    second = run_folder(root, seals)
    for name, data in kept.items():
        (root / "run-1" / name).write_bytes(data)
    with pytest.raises(ArtifactRefused, match=r"run\.json"):
        second.last()


def test_what_the_run_is_about_cannot_be_changed_before_its_first_checkpoint(root: Path, seals: Seals) -> None:
    folder = run_folder(root, seals)
    folder.begin(ABOUT)
    path = root / "run-1" / "run.json"
    path.write_bytes(path.read_bytes().replace(b'"rounds": 3', b'"rounds": 9'))
    folder.commit(small(1))
    refused(folder.last, "the config")


def test_late_writer_whose_run_was_taken_over_harms_nothing(root: Path, seals: Seals) -> None:
    late = run_folder(root, seals)
    mine = run_folder(root, seals)
    mine.commit(small(1))
    # It has sealed its part, and finds only then that it is late.
    late._parts.put("round-0001.safetensors", b"other bytes")
    assert mine.last() is not None
    mine.commit(small(2))
    assert len(list((root / "run-1").glob("round-0001.safetensors.*"))) == 2


def test_stranger_cannot_write_a_checkpoint(root: Path, seals: Seals, tmp_path: Path) -> None:
    run_folder(root, Seals(ArtifactKeys.open(tmp_path / "stranger"))).commit(small(1))
    with pytest.raises(ArtifactRefused, match="nobody trusts"):
        run_folder(root, seals).last()


def test_plain_checkpoint_is_refused_by_who_has_keys_and_sealed_one_by_who_has_none(root: Path, seals: Seals) -> None:
    run_folder(root, None, "plain").commit(small(1))
    with pytest.raises(ArtifactNotSealed):
        run_folder(root, seals, "plain").last()
    run_folder(root, seals, "sealed").commit(small(1))
    with pytest.raises(ArtifactKeyMissing):
        run_folder(root, None, "sealed").last()


def test_flipped_result_is_shown_but_nothing_is_built_on_it(root: Path, seals: Seals) -> None:
    folder = run_folder(root, seals)
    folder.commit(small(1))
    folder.finish({"chosen_round": 1, "privacy": {"ledger": [[1.0, 3]]}})
    assert folder.believed_result() == folder.result()
    result = root / "run-1" / "result.json"
    whole = result.read_bytes()
    result.write_bytes(whole.replace(b"3", b"1"))
    assert folder.result() is not None
    refused(folder.believed_result, "the ledger")
    result.write_bytes(whole)
    for what in every_flip(root / "run-1" / "result.sig"):
        refused(folder.believed_result, what)
    (root / "run-1" / "result.sig").unlink()
    with pytest.raises(ArtifactNotSealed):
        folder.believed_result()


def test_trimmed_run_keeps_what_another_may_start_from(root: Path, seals: Seals) -> None:
    folder = run_folder(root, seals)
    for number in (1, 2, 3):
        folder.commit(small(number))
    folder.finish({"chosen_round": 3})
    assert folder.trim(3) == 10
    config = FederationConfig(preset="tiny", start_from="run-1")
    learned = learned_before(DirectoryStore(root), config, ABOUT.base_hash, seals)
    np.testing.assert_array_equal(learned["heads.image.weight"], SMALL["heads.image.weight"])


def test_sealed_model_comes_back_only_to_who_has_the_keys(tmp_path: Path, seals: Seals) -> None:
    heads, folder = tiny_state(seed=3), tmp_path / "model"
    content_hash = write_model(folder, tiny_spec(), heads, card="# card", seals=seals, run=RUN)
    plain = tmp_path / "plain"
    assert write_model(plain, tiny_spec(), heads, card="# card") == content_hash
    stored = read_model(folder, content_hash=content_hash, seals=seals, run=RUN)
    np.testing.assert_array_equal(stored.state["heads.image.weight"], heads["heads.image.weight"])
    with pytest.raises(ArtifactKeyMissing):
        read_model(folder, content_hash=content_hash)
    with pytest.raises(ArtifactNotSealed, match="not sealed"):
        read_model(plain, content_hash=content_hash, seals=seals, run=RUN)


def test_every_flipped_byte_of_a_model_is_refused(tmp_path: Path, seals: Seals) -> None:
    folder = tmp_path / "model"
    content_hash = write_model(folder, tiny_spec(), SMALL, card="# card", seals=seals, run=RUN)
    flips = 0
    for what in every_flip(*sorted(folder.iterdir())):
        refused(lambda: read_model(folder, content_hash=content_hash, seals=seals, run=RUN), what)
        flips += 1
    assert flips > 1500
    read_model(folder, content_hash=content_hash, seals=seals, run=RUN)


def test_model_of_another_run_is_refused(tmp_path: Path, seals: Seals) -> None:
    content_hash = write_model(tmp_path / "model", tiny_spec(), SMALL, card="# card", seals=seals, run=RUN)
    with pytest.raises(ArtifactRefused, match="is that of"):
        read_model(tmp_path / "model", content_hash=content_hash, seals=seals, run="f" * 16)


def test_model_whose_hash_was_changed_in_the_registry_is_refused_by_what_was_signed(
    tmp_path: Path, seals: Seals
) -> None:
    folder = tmp_path / "model"
    content_hash = write_model(folder, tiny_spec(), SMALL, card="# card", seals=seals, run=RUN)
    for changed in ("f" * 64, content_hash[:-1], ""):
        with pytest.raises(ArtifactRefused, match=f"signed as {content_hash[:12]}"):
            read_model(folder, content_hash=changed, seals=seals, run=RUN)


def test_every_flipped_byte_of_a_wave_is_refused(root: Path, seals: Seals) -> None:
    folder = WaveFolder(DirectoryStore(root), "wave-1", seals)
    folder.begin(ORDER, SMALL)
    assert folder.order() == ORDER
    assert folder.state().keys() == SMALL.keys()
    for what in every_flip(*sorted((root / "wave-1").iterdir())):
        refused(lambda: (folder.order(), folder.state()), what)
    with pytest.raises(ArtifactNotSealed):
        WaveFolder(DirectoryStore(root), "wave-2", seals).order()
