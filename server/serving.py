"""The champion (or another version), downloaded, checked against the registry's hash, ready to encode queries."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from catalog.index import IndexVersion
from core.settings import Settings
from federation.encoder import Encoder
from security.errors import ArtifactRefused
from server.errors import ModelDamaged
from server.models import StoredModel, read_model
from server.sealing import Seals
from server.tracking import CHAMPION, MODEL, ModelVersion, Tracker


@dataclass(frozen=True)
class ServedModel:
    """One model version and its encoder; the encoder's towers load at the first use."""

    name: str
    version: str
    run_id: str
    encoder: Encoder
    content_hash: str


def load_champion(settings: Settings, cache_dir: Path, *, version: str | None = None) -> ServedModel:
    """The version behind the alias ``champion``, or ``version``.

    Args:
        settings: where MLflow is.
        cache_dir: downloaded versions are kept below it, and checked again each time they are read.
        version: a version's number, for a search in an index that an older model built.

    Raises:
        ModelMissing: nothing was promoted yet, or there is no such version.
        ModelDamaged, ArtifactRefused: the files are not those that were registered, or not sealed where they must be.
        TrackingUnreachable: MLflow did not answer, and the version is needed from there.
    """
    tracker = Tracker.of(settings)
    found = tracker.require(version or CHAMPION)
    stored = fetch(tracker, found, cache_dir, Seals.of(settings))
    return ServedModel(
        MODEL, found.version, found.run_id, stored.encoder(settings.encoding_precision), stored.content_hash
    )


def load_version(settings: Settings, index: IndexVersion) -> ServedModel:
    """The model version that built ``index``, so that queries and products meet in one vector space.

    Raises:
        ModelMissing, TrackingUnreachable: as in `load_champion`.
        ModelDamaged: also when the version of that number is another model by now.
    """
    served = load_champion(settings, settings.features_dir, version=index.model_version)
    if index.model_hash and index.model_hash != served.content_hash:
        raise ModelDamaged(
            f"Index version {index.id} was built by model {index.model_hash[:12]}…, version {served.version} is "
            f"{served.content_hash[:12]}….",
            hint="Build the index again: `tejido index build --rebuild`.",
        )
    return served


def fetch(tracker: Tracker, version: ModelVersion, cache_dir: Path, seals: Seals | None) -> StoredModel:
    """A version's files, from the cache when they are there unchanged, else from MLflow; sealed in both."""
    expected: Expected = {"content_hash": version.content_hash, "seals": seals, "run": version.run_id}
    kept = cache_dir / "models" / f"{version.name}-{version.version}-{version.content_hash[:16]}"
    if kept.is_dir():
        try:
            return read_model(kept, **expected)
        except (ModelDamaged, ArtifactRefused):
            # Also where its data keys were wrapped anew since, and the key that wraps them here is gone.
            shutil.rmtree(kept)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".fetch-") as folder:
        files = tracker.download(version, Path(folder))
        stored = read_model(files, **expected)
        try:
            files.rename(kept)
        except OSError:
            # Another process was first; its files are the same.
            return stored
    return stored


class Expected(TypedDict):
    """What a version must be, by the registry's word."""

    content_hash: str
    seals: Seals | None
    run: str
