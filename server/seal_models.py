"""Seals model versions that an older release has registered as plain files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from core.settings import Settings
from security.artifact_keys import ArtifactKeys
from security.errors import ArtifactRefused
from server.errors import ModelDamaged
from server.models import CARD, HASHES, MANIFEST, SPEC, TRAINED, StoredModel, read_model, write_model
from server.sealing import KEY, SEALED, Seals
from server.tracking import ModelVersion, Tracker

PLAIN = (TRAINED, SPEC, HASHES)


class Models(Protocol):
    """What is needed of `server.tracking.Tracker`."""

    def file_names(self, run_id: str) -> list[str]:
        """Names of the files of a run's model."""

    def download(self, version: ModelVersion, folder: Path) -> Path:
        """Fetch a version's files below ``folder``; returns the folder that holds them."""

    def write_files(self, run_id: str, folder: Path) -> None:
        """Add files, each in place of one of the same name."""

    def delete_file(self, run_id: str, name: str) -> None:
        """Remove one of them."""


def seal_models(settings: Settings, wanted: str | None) -> dict[str, Any]:
    """Seal one version (number or alias), or all that are plain (None). Whoever does so vouches for what is stored.

    Returns:
        ``sealed`` and ``unchanged``: numbers of versions.

    Raises:
        ModelMissing: there is no such version.
        ModelDamaged: its files are not what the registry's hash says; it stays as it is.
        ArtifactRefused: the seal that was written does not hold; the plain files stay.
        ArtifactKeyMissing: this process may not sign.
    """
    seals, tracker = Seals(ArtifactKeys(Path(settings.required("artifact_keys_dir")))), Tracker.of(settings)
    versions = [tracker.require(wanted)] if wanted else sorted(tracker.versions(), key=lambda v: int(v.version))
    done: dict[str, list[str]] = {"sealed": [], "unchanged": []}
    for version in versions:
        done["sealed" if seal_version(tracker, version, seals) else "unchanged"].append(version.version)
    return done


def seal_version(models: Models, version: ModelVersion, seals: Seals) -> bool:
    """Seal one version, and remove what is plain of it once the seal is whole; False where nothing is plain.

    Whatever it breaks off after, either the plain files are all there or the whole seal is; begin again.

    Raises:
        ModelDamaged: neither the plain files are what the registry's hash says, nor is a seal; nothing is removed.
        ArtifactRefused: the seal that was written does not hold; the plain files stay.
        ArtifactKeyMissing: this process may not sign.
    """
    names = set(models.file_names(version.run_id))
    left = names.intersection(PLAIN)
    if MANIFEST in names and not left:
        return False
    # There may be a seal that broke off, whose manifest came before the files that it names.
    if not _is_whole(models, version, seals):
        left |= {name for name in names if name.endswith((SEALED, KEY))}
        _write_seal(models, version, seals)
        with _downloaded(models, version) as folder:
            _read(folder, version, seals)
    for name in sorted(left):
        models.delete_file(version.run_id, name)
    return True


def _write_seal(models: Models, version: ModelVersion, seals: Seals) -> None:
    with _downloaded(models, version) as plain, tempfile.TemporaryDirectory(prefix="tejido-sealed-") as sealed:
        # Only the plain files are asked.
        (plain / MANIFEST).unlink(missing_ok=True)
        stored = _read(plain, version, None)
        card = (plain / CARD).read_text()
        write_model(Path(sealed), stored.spec, stored.state, card=card, seals=seals, run=version.run_id)
        models.write_files(version.run_id, Path(sealed))


def _is_whole(models: Models, version: ModelVersion, seals: Seals) -> bool:
    with _downloaded(models, version) as folder:
        try:
            _read(folder, version, seals)
        except (ArtifactRefused, ModelDamaged):
            return False
    return True


def _read(folder: Path, version: ModelVersion, seals: Seals | None) -> StoredModel:
    return read_model(folder, content_hash=version.content_hash, seals=seals, run=version.run_id)


@contextmanager
def _downloaded(models: Models, version: ModelVersion) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tejido-model-") as folder:
        yield models.download(version, Path(folder))
