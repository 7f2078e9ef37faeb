"""Seals model versions that an older release has registered as plain files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from core.settings import Settings
from security.artifact_keys import ArtifactKeys
from server.models import CARD, HASHES, MANIFEST, SPEC, TRAINED, read_model, write_model
from server.sealing import Seals
from server.tracking import ModelVersion, Tracker

PLAIN = (TRAINED, SPEC, HASHES)


def seal_models(settings: Settings, wanted: str | None) -> dict[str, Any]:
    """Seal one version (number or alias), or all that are plain (None). Whoever does so vouches for what is stored.

    Returns:
        ``sealed`` and ``unchanged``: numbers of versions.

    Raises:
        ModelMissing: there is no such version.
        ModelDamaged: its files are not what the registry's hash says; it stays as it is.
        ArtifactKeyMissing: this process may not sign.
    """
    seals, tracker = Seals(ArtifactKeys(Path(settings.required("artifact_keys_dir")))), Tracker.of(settings)
    versions = [tracker.require(wanted)] if wanted else sorted(tracker.versions(), key=lambda v: int(v.version))
    done: dict[str, list[str]] = {"sealed": [], "unchanged": []}
    for version in versions:
        done["sealed" if _seal(tracker, version, seals) else "unchanged"].append(version.version)
    return done


def _seal(tracker: Tracker, version: ModelVersion, seals: Seals) -> bool:
    names = set(tracker.file_names(version.run_id))
    if MANIFEST not in names:
        with tempfile.TemporaryDirectory(prefix="tejido-plain-") as one, tempfile.TemporaryDirectory() as other:
            plain = tracker.download(version, Path(one))
            stored = read_model(plain, content_hash=version.content_hash)
            card = (plain / CARD).read_text()
            write_model(Path(other), stored.spec, stored.state, card=card, seals=seals, run=version.run_id)
            tracker.write_files(version.run_id, Path(other))
    # Also what a seal that broke off has left.
    left = [name for name in PLAIN if name in names]
    for name in left:
        tracker.delete_file(version.run_id, name)
    return bool(left)
