"""After a rotation all is wrapped and signed anew, whatever happens in between, and no object is written again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.objects import DirectoryStore, delete_all
from security.artifact_keys import ArtifactKeys
from security.artifact_rotation import ArtifactRotation, Retired
from security.errors import ArtifactRefused
from security.manifests import Subject
from server.checkpoints import RunFolder
from server.models import read_model, write_model
from server.renewal import NAMED, Place, renew
from server.resigning import CheckpointSignatures, ModelSignatures
from server.rewrapping import CheckpointKeys, ModelKeys
from server.sealing import KEY, RESIGNED, SEALED, Seals
from server.wave_folder import Order, WaveFolder
from tests.models import tiny_spec
from tests.unit.server.model_files import ModelFiles
from tests.unit.server.sealed import RUN, SMALL, run_folder, small


@pytest.fixture
def keys(tmp_path: Path) -> ArtifactKeys:
    return ArtifactKeys.open(tmp_path / "keys")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


def retired(keys: ArtifactKeys) -> Retired:
    rotation = ArtifactRotation(keys)
    return rotation.retire(rotation.word())


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

    ArtifactRotation(keys).begin()
    with pytest.raises(OSError, match="killed"):
        renew([CheckpointKeys(Breaking(root))], keys)
    # Half of it is wrapped by either key, and everything opens.
    assert folder.last() is not None
    ArtifactRotation(keys).begin()
    done = renew([CheckpointKeys(DirectoryStore(root)), ModelKeys(models, RUN)], keys)
    assert done["rewrapped"] == {"checkpoints": 3, "models": 2, "unchanged": 3}
    ArtifactRotation(keys).end()
    renew([CheckpointSignatures(DirectoryStore(root)), ModelSignatures(models, RUN)], keys)
    assert retired(keys) == Retired(1, 1)

    assert folder.last() is not None
    read_model(models.root / RUN, content_hash=content_hash, seals=seals, run=RUN)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in objects} == objects
    folder.commit(small(3))
    assert folder.last() is not None


def test_rewrap_leaves_no_key_of_an_object_that_went_meanwhile(root: Path, keys: ArtifactKeys) -> None:
    run_folder(root, Seals(keys)).commit(small(1))
    gone = next((root / "run-1").glob("*.sealed"))
    gone.unlink()
    ArtifactRotation(keys).begin()
    renew([CheckpointKeys(DirectoryStore(root))], keys)
    assert not gone.with_suffix(KEY).exists()


class Overtaken(DirectoryStore):
    """Between any two writes, somebody rotates the keys."""

    def __init__(self, root: Path, keys: ArtifactKeys) -> None:
        super().__init__(root)
        self._keys = keys

    def put(self, key: str, data: bytes) -> None:
        super().put(key, data)
        ArtifactRotation(self._keys).begin()
        renew([CheckpointKeys(DirectoryStore(self.root))], self._keys)
        ArtifactRotation(self._keys).end()


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
    ArtifactRotation(keys).begin()
    places: list[Place] = [CheckpointKeys(DirectoryStore(root)), ModelKeys(models, RUN)]
    with pytest.raises(ArtifactRefused) as caught:
        renew(places, keys)
    assert caught.value.exit_status == 1
    assert f"run-1/{damaged[0].name}" in caught.value.message
    assert f"{damaged[1].name} of the model of run {RUN}" in caught.value.message
    assert caught.value.message.count(".key") == 2
    for path in damaged:
        path.write_bytes(whole[path])
    # Only these two were left to do.
    assert renew(places, keys)["rewrapped"] == {"checkpoints": 1, "models": 1, "unchanged": 3}
    renew([CheckpointSignatures(DirectoryStore(root)), ModelSignatures(models, RUN)], keys)
    assert retired(keys) == Retired(1, 1)
    assert run_folder(root, seals).last() is not None
    read_model(models.root / RUN, content_hash=content_hash, seals=seals, run=RUN)


def test_error_names_some_of_many_damaged_keys_and_counts_the_rest(root: Path, keys: ArtifactKeys) -> None:
    for number in range(NAMED + 3):
        DirectoryStore(root).put(f"run-1/round-{number:04d}.json.0{KEY}", b"no key")
    with pytest.raises(ArtifactRefused, match="and 3 more") as caught:
        renew([CheckpointKeys(DirectoryStore(root))], keys)
    assert caught.value.message.count(KEY) == NAMED


class Stored:
    """All that is sealed and kept: a run that ended, one that goes on, a wave, and a model."""

    def __init__(self, root: Path, keys: ArtifactKeys) -> None:
        self.root, self.seals = root, Seals(keys)
        self.models = ModelFiles(root / "registry")
        self.run, self.ended = run_folder(root / "bucket", self.seals), run_folder(root / "bucket", self.seals, "run-2")
        self.run.commit(small(1))
        self.ended.commit(small(1))
        self.ended.finish({"chosen_round": 1})
        self.wave = WaveFolder(DirectoryStore(root / "bucket"), "wave-1", self.seals)
        self.wave.begin(Order(spec="{}", model_version="1", model_hash="a", base_hash="b", dimension=4), SMALL)
        self.content_hash = write_model(
            self.models.root / RUN, tiny_spec(), SMALL, card="# card", seals=self.seals, run=RUN
        )

    def readers(self) -> dict[str, Callable[[], object]]:
        return {
            "run-1/state.json": self.run.last,
            "run-2/state.json": self.ended.last,
            "run-2/result.json": self.ended.believed_result,
            "wave-1/manifest.json": lambda: (self.wave.order(), self.wave.state()),
            "manifest.json": lambda: read_model(
                self.models.root / RUN, content_hash=self.content_hash, seals=self.seals, run=RUN
            ),
        }

    def load(self) -> None:
        """Everybody reads everything."""
        for reader in self.readers().values():
            assert reader() is not None

    def refused(self) -> set[str]:
        """What nobody can read."""
        found = set()
        for name, reader in self.readers().items():
            try:
                reader()
            except ArtifactRefused:
                found.add(name)
        return found

    def file(self, name: str) -> Path:
        """Where one of them lies."""
        return self.root / "bucket" / name if "/" in name else self.models.root / RUN / name

    def places(self, store: DirectoryStore | None = None) -> list[Place]:
        bucket = store or DirectoryStore(self.root / "bucket")
        return [
            CheckpointKeys(bucket), CheckpointSignatures(bucket), ModelKeys(self.models, RUN),
            ModelSignatures(self.models, RUN),
        ]  # fmt: skip


@pytest.fixture
def stored(tmp_path: Path, keys: ArtifactKeys) -> Stored:
    return Stored(tmp_path, keys)


EACH = ["run-1/state.json", "run-2/state.json", "run-2/result.json", "wave-1/manifest.json", "manifest.json"]


def test_everything_is_signed_anew_and_read_at_every_step_of_three_rotations(
    stored: Stored, keys: ArtifactKeys
) -> None:
    assert list(stored.readers()) == EACH
    as_written = {name: stored.file(name).read_bytes() for name in EACH}
    for _ in range(3):
        ArtifactRotation(keys).begin()
        stored.load()
        assert renew(stored.places(), keys)["resigned"] == {"checkpoints": 4, "models": 1, "unchanged": 0}
        stored.load()
        assert renew(stored.places(), keys)["resigned"] == {"checkpoints": 0, "models": 0, "unchanged": 5}
        assert retired(keys) == Retired(1, 1)
        stored.load()
    assert {name: stored.file(name).read_bytes() for name in EACH} == as_written
    for name in EACH:
        stored.file(name + RESIGNED).unlink()
    # Their first signature is by a key that is retired.
    assert stored.refused() == set(EACH)
    with pytest.raises(ArtifactRefused, match="whom nobody trusts"):
        stored.run.last()


@pytest.mark.parametrize("writes", range(4))
def test_signing_anew_that_is_killed_goes_on_where_it_was(stored: Stored, keys: ArtifactKeys, writes: int) -> None:
    ArtifactRotation(keys).begin()
    breaking = Breaking(stored.root / "bucket")
    breaking.left = writes
    with pytest.raises(OSError, match="killed"):
        renew([CheckpointSignatures(breaking)], keys)
    stored.load()
    done = renew(stored.places(), keys)["resigned"]
    assert done == {"checkpoints": 4 - writes, "models": 1, "unchanged": writes}
    retired(keys)
    stored.load()


@pytest.mark.parametrize("name", EACH)
def test_broken_manifest_is_named_never_signed_and_keeps_no_other_from_it(
    stored: Stored, keys: ArtifactKeys, tmp_path: Path, name: str
) -> None:
    stranger = Stored(tmp_path / "stranger", ArtifactKeys.open(tmp_path / "stranger" / "keys"))
    ArtifactRotation(keys).begin()
    path = stored.file(name)
    whole = path.read_bytes()
    flipped = whole[:9] + bytes([whole[9] ^ 1]) + whole[10:]
    wrong = [flipped] if name.endswith("result.json") else [flipped, stranger.file(name).read_bytes(), b'{"round": 1}']
    for changed in wrong:
        path.write_bytes(changed)
        with pytest.raises(ArtifactRefused) as caught:
            renew(stored.places(), keys)
        assert name in caught.value.message
        assert caught.value.message.count(".json") == 1
        assert not stored.file(name + RESIGNED).exists()
    path.write_bytes(whole)
    done = renew(stored.places(), keys)["resigned"]
    assert (done["checkpoints"] + done["models"], done["unchanged"]) == (1, 4)
    retired(keys)
    stored.load()


def test_result_whose_signature_was_taken_away_is_not_signed(stored: Stored, keys: ArtifactKeys) -> None:
    ArtifactRotation(keys).begin()
    stored.file("run-2/result.sig").unlink()
    with pytest.raises(ArtifactRefused, match=r"run-2/result\.json"):
        renew(stored.places(), keys)
    assert not stored.file("run-2/result.json" + RESIGNED).exists()


def test_manifest_of_another_run_is_not_signed_in_its_place(stored: Stored, keys: ArtifactKeys) -> None:
    ArtifactRotation(keys).begin()
    stored.file("run-1/state.json").write_bytes(stored.file("run-2/state.json").read_bytes())
    with pytest.raises(ArtifactRefused, match=r"run-1/state\.json"):
        renew(stored.places(), keys)


@pytest.mark.parametrize("name", EACH)
def test_after_a_rotation_too_every_flipped_byte_is_refused(stored: Stored, keys: ArtifactKeys, name: str) -> None:
    ArtifactRotation(keys).begin()
    renew(stored.places(), keys)
    retired(keys)
    also = [stored.file("run-2/result.sig")] if name.endswith("result.json") else []
    for path in [stored.file(name), stored.file(name + RESIGNED), *also]:
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
            with pytest.raises(ArtifactRefused):
                stored.readers()[name]()
        path.write_bytes(whole)
    stored.load()


class Raced(DirectoryStore):
    """Between any reading of a marker and any signing of it, the run ends another round."""

    def __init__(self, root: Path, run: RunFolder) -> None:
        super().__init__(root)
        self.run = run

    def get(self, key: str) -> bytes:
        data = super().get(key)
        if key == "run-1/state.json":
            self.run.commit(small(2))
        return data


def test_run_that_ends_a_round_while_its_marker_is_signed_loses_nothing(stored: Stored, keys: ArtifactKeys) -> None:
    ArtifactRotation(keys).begin()
    renew(stored.places(Raced(stored.root / "bucket", stored.run)), keys)
    assert (last := stored.run.last()) is not None
    assert last.round == 2
    renew(stored.places(), keys)
    retired(keys)
    assert (last := stored.run.last()) is not None
    assert last.round == 2
    stored.load()
    # What the newest has signed itself needs nothing beside it, and is renewed all the same the next time.
    ArtifactRotation(keys).begin()
    renew(stored.places(), keys)
    retired(keys)
    stored.load()


class Removed(DirectoryStore):
    """A run is removed just before its manifest is signed anew."""

    def put(self, key: str, data: bytes) -> None:
        delete_all(self, f"{key.split('/')[0]}/")
        super().put(key, data)


def test_no_signature_is_left_of_a_run_that_was_removed_meanwhile(stored: Stored, keys: ArtifactKeys) -> None:
    ArtifactRotation(keys).begin()
    renew([CheckpointSignatures(Removed(stored.root / "bucket"))], keys)
    assert not list(DirectoryStore(stored.root / "bucket").list(""))


def test_what_is_plain_stays_so(root: Path, keys: ArtifactKeys, tmp_path: Path) -> None:
    folder = run_folder(root, None)
    folder.commit(small(1))
    folder.finish({"chosen_round": 1})
    models = ModelFiles(tmp_path / "registry")
    write_model(models.root / RUN, tiny_spec(), SMALL, card="# card")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    ArtifactRotation(keys).begin()
    done = renew([CheckpointSignatures(DirectoryStore(root)), ModelSignatures(models, RUN)], keys)
    assert done["resigned"] == {"checkpoints": 0, "models": 0, "unchanged": 0}
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
    assert not list(tmp_path.rglob(f"*{RESIGNED}"))
