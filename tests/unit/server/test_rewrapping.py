"""After a rotation every data key is wrapped anew, whatever happens in between, and no object is written again."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.objects import DirectoryStore
from security.artifact_keys import ArtifactKeys
from security.errors import ArtifactRefused
from security.manifests import Subject
from server.models import read_model, write_model
from server.rewrapping import NAMED, CheckpointKeys, ModelKeys, Place, rewrap
from server.sealing import KEY, SEALED, Seals
from tests.models import tiny_spec
from tests.unit.server.model_files import ModelFiles
from tests.unit.server.sealed import RUN, SMALL, run_folder, small


@pytest.fixture
def keys(tmp_path: Path) -> ArtifactKeys:
    return ArtifactKeys.open(tmp_path / "keys")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


class Breaking(DirectoryStore):
    """Fails after some writes."""

    left = 3

    def put(self, key: str, data: bytes) -> None:
        if not self.left:
            raise OSError("killed")
        self.left -= 1
        super().put(key, data)


def test_rotation_rewraps_everything_goes_on_where_it_broke_off_and_rewrites_no_object(
    root: Path, keys: ArtifactKeys, tmp_path: Path
) -> None:
    seals = Seals(keys)
    folder = run_folder(root, seals)
    folder.commit(small(1))
    folder.commit(small(2))
    models = ModelFiles(tmp_path / "registry")
    content_hash = write_model(models.root / RUN, tiny_spec(), SMALL, card="# card", seals=seals, run=RUN)
    objects = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*") if p.name.endswith(SEALED)}
    assert len(objects) == 8

    keys.begin_rotation()
    with pytest.raises(OSError, match="killed"):
        rewrap([CheckpointKeys(Breaking(root))], keys)
    # Half of it is wrapped by either key, and everything opens.
    assert folder.last() is not None
    keys.begin_rotation()
    done = rewrap([CheckpointKeys(DirectoryStore(root)), ModelKeys(models, RUN)], keys)
    assert done == {"checkpoints": 3, "models": 2, "unchanged": 3}
    keys.end_rotation()
    assert keys.retire() == 1

    assert folder.last() is not None
    read_model(models.root / RUN, content_hash=content_hash, seals=seals, run=RUN)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in objects} == objects
    folder.commit(small(3))
    assert folder.last() is not None


def test_rewrap_leaves_no_key_of_an_object_that_went_meanwhile(root: Path, keys: ArtifactKeys) -> None:
    run_folder(root, Seals(keys)).commit(small(1))
    gone = next((root / "run-1").glob("*.sealed"))
    gone.unlink()
    keys.begin_rotation()
    rewrap([CheckpointKeys(DirectoryStore(root))], keys)
    assert not gone.with_suffix(KEY).exists()


class Overtaken(DirectoryStore):
    """Between any two writes, somebody rotates the keys."""

    def __init__(self, root: Path, keys: ArtifactKeys) -> None:
        super().__init__(root)
        self._keys = keys

    def put(self, key: str, data: bytes) -> None:
        super().put(key, data)
        self._keys.begin_rotation()
        rewrap([CheckpointKeys(DirectoryStore(self.root))], self._keys)
        self._keys.end_rotation()


def test_writer_whom_a_rotation_overtakes_between_an_object_and_its_key_loses_neither(
    root: Path, keys: ArtifactKeys
) -> None:
    seals, subject = Seals(keys), Subject("checkpoint", "run-1")
    entry = seals.put(Overtaken(root, keys), "run-1/", subject, "round-0001.json", b"of the round")
    assert len(list((root / "run-1").iterdir())) == 2
    assert seals.get(DirectoryStore(root), "run-1/", subject, entry) == b"of the round"


def test_damaged_key_is_named_and_keeps_no_other_from_being_wrapped_anew(
    root: Path, keys: ArtifactKeys, tmp_path: Path
) -> None:
    seals, models = Seals(keys), ModelFiles(tmp_path / "registry")
    run_folder(root, seals).commit(small(1))
    content_hash = write_model(models.root / RUN, tiny_spec(), SMALL, card="# card", seals=seals, run=RUN)
    damaged = [next((root / "run-1").glob("*.key")), next((models.root / RUN).glob("model.json.*.key"))]
    whole = {path: path.read_bytes() for path in damaged}
    for path in damaged:
        path.write_bytes(whole[path][:-9] + b"AAAAAAAA=")
    keys.begin_rotation()
    places: list[Place] = [CheckpointKeys(DirectoryStore(root)), ModelKeys(models, RUN)]
    with pytest.raises(ArtifactRefused) as caught:
        rewrap(places, keys)
    assert caught.value.exit_status == 1
    assert f"run-1/{damaged[0].name}" in caught.value.message
    assert f"{damaged[1].name} of the model of run {RUN}" in caught.value.message
    assert caught.value.message.count(".key") == 2
    for path in damaged:
        path.write_bytes(whole[path])
    # Only these two were left to do.
    assert rewrap(places, keys) == {"checkpoints": 1, "models": 1, "unchanged": 3}
    assert keys.retire() == 1
    assert run_folder(root, seals).last() is not None
    read_model(models.root / RUN, content_hash=content_hash, seals=seals, run=RUN)


def test_error_names_some_of_many_damaged_keys_and_counts_the_rest(root: Path, keys: ArtifactKeys) -> None:
    for number in range(NAMED + 3):
        DirectoryStore(root).put(f"run-1/round-{number:04d}.json.0{KEY}", b"no key")
    with pytest.raises(ArtifactRefused, match="and 3 more") as caught:
        rewrap([CheckpointKeys(DirectoryStore(root))], keys)
    assert caught.value.message.count(KEY) == NAMED
