"""A plain model version is sealed, wherever that breaks off, and is never without a copy that can be read."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from security.artifact_keys import ArtifactKeys
from security.errors import ArtifactRefused
from server.errors import ModelDamaged
from server.models import MANIFEST, SPEC, TRAINED, read_model, write_model
from server.seal_models import PLAIN, seal_version
from server.sealing import KEY, SEALED, Seals
from server.tracking import MODEL, ModelVersion
from tests.models import tiny_spec
from tests.unit.server.model_files import ModelFiles
from tests.unit.server.sealed import RUN, SMALL

SEALED_FILES = 6
"""Card, manifest, and two objects with their keys."""


@dataclass
class Breaking(ModelFiles):
    """Breaks off after some files, the manifest first or last; the one that is on its way is cut short."""

    left: int = 0
    is_manifest_first: bool = True
    cut_bytes: int | None = None

    def write_files(self, run_id: str, folder: Path) -> None:
        files = sorted(folder.iterdir(), key=lambda path: (path.name != MANIFEST) == self.is_manifest_first)
        for path in files:
            if not self.left:
                if self.cut_bytes is not None:
                    (self.root / run_id / path.name).write_bytes(path.read_bytes()[: self.cut_bytes])
                raise ConnectionError("killed")
            self.left -= 1
            shutil.copy(path, self.root / run_id)

    def delete_file(self, run_id: str, name: str) -> None:
        if not self.left:
            raise ConnectionError("killed")
        self.left -= 1
        super().delete_file(run_id, name)


@pytest.fixture
def seals(tmp_path: Path) -> Seals:
    return Seals(ArtifactKeys.open(tmp_path / "keys"))


@pytest.fixture
def models(tmp_path: Path) -> ModelFiles:
    return ModelFiles(tmp_path / "registry")


@pytest.fixture
def version(models: ModelFiles) -> ModelVersion:
    content_hash = write_model(models.root / RUN, tiny_spec(), SMALL, card="# card")
    return ModelVersion(MODEL, "1", RUN, content_hash, "tiny", "v1", (), 0, {})


def can_be_read(models: ModelFiles, version: ModelVersion, seals: Seals | None) -> bool:
    try:
        stored = read_model(models.root / RUN, content_hash=version.content_hash, seals=seals, run=RUN)
    except (ArtifactRefused, ModelDamaged):
        return False
    np.testing.assert_array_equal(stored.state["heads.image.weight"], SMALL["heads.image.weight"])
    return True


def test_plain_version_is_sealed_and_nothing_plain_is_left(
    models: ModelFiles, version: ModelVersion, seals: Seals
) -> None:
    assert seal_version(models, version, seals)
    assert can_be_read(models, version, seals)
    names = models.file_names(RUN)
    assert len(names) == SEALED_FILES
    assert not set(PLAIN) & set(names)
    before = {name: models.read_file(RUN, name) for name in names}
    assert not seal_version(models, version, seals)
    assert {name: models.read_file(RUN, name) for name in models.file_names(RUN)} == before


@pytest.mark.parametrize("cut_bytes", [None, 0, 20])
@pytest.mark.parametrize("is_manifest_first", [True, False])
@pytest.mark.parametrize("left", range(SEALED_FILES + len(PLAIN)))
def test_seal_that_broke_off_after_any_file_is_made_whole_before_anything_plain_goes(
    models: ModelFiles, version: ModelVersion, seals: Seals, left: int, is_manifest_first: bool, cut_bytes: int | None
) -> None:
    with pytest.raises(ConnectionError):
        seal_version(Breaking(models.root, left, is_manifest_first, cut_bytes), version, seals)
    assert can_be_read(models, version, seals if left > SEALED_FILES else None)
    assert seal_version(models, version, seals)
    assert can_be_read(models, version, seals)
    # Nothing is left of what broke off either.
    assert len(models.file_names(RUN)) == SEALED_FILES
    assert not set(PLAIN) & set(models.file_names(RUN))


@pytest.mark.parametrize("damaged", [SEALED, KEY, MANIFEST])
def test_damaged_seal_beside_a_whole_plain_model_is_made_anew(
    models: ModelFiles, version: ModelVersion, seals: Seals, damaged: str
) -> None:
    with pytest.raises(ConnectionError):
        seal_version(Breaking(models.root, SEALED_FILES), version, seals)
    path = next(path for path in sorted((models.root / RUN).iterdir()) if path.name.endswith(damaged))
    path.write_bytes(path.read_bytes()[:-9] + b"AAAAAAAA=")
    assert seal_version(models, version, seals)
    assert can_be_read(models, version, seals)
    assert len(models.file_names(RUN)) == SEALED_FILES


@pytest.mark.parametrize("damaged", [TRAINED, SPEC])
@pytest.mark.parametrize("is_lost", [True, False])
def test_where_neither_the_seal_nor_the_plain_model_is_whole_nothing_is_removed(
    models: ModelFiles, version: ModelVersion, seals: Seals, damaged: str, is_lost: bool
) -> None:
    with pytest.raises(ConnectionError):
        seal_version(Breaking(models.root, 2), version, seals)
    path = models.root / RUN / damaged
    path.unlink() if is_lost else path.write_bytes(path.read_bytes() + b" ")
    before = models.file_names(RUN)
    with pytest.raises(ModelDamaged):
        seal_version(models, version, seals)
    assert models.file_names(RUN) == before


def test_upload_that_comes_damaged_leaves_the_plain_model(
    models: ModelFiles, version: ModelVersion, seals: Seals
) -> None:
    class Damaging(ModelFiles):
        def write_files(self, run_id: str, folder: Path) -> None:
            super().write_files(run_id, folder)
            next((self.root / run_id).glob(f"*{KEY}")).write_bytes(b"")

    with pytest.raises(ArtifactRefused):
        seal_version(Damaging(models.root), version, seals)
    assert can_be_read(models, version, None)
