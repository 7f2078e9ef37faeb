"""After a rotation: every data key wrapped by the newest wrapping key. Objects and manifests stay as they are.

Each data key is replaced in one step, and both old and new ones unwrap meanwhile, so whoever reads does not notice;
what was done before a break is found done. Files are named after their data keys: no writer's newer one is overwritten.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from catalog.errors import ObjectMissing
from catalog.objects import ObjectStore
from core.settings import Settings
from security.artifact_keys import ArtifactKeys
from server.sealing import KEY, keys_below, object_of
from server.stores import open_stores
from server.tracking import Tracker


class Models(Protocol):
    """What is needed of `server.tracking.Tracker`."""

    def file_names(self, run_id: str) -> list[str]:
        """Names of the files of a run's model."""

    def read_file(self, run_id: str, name: str) -> bytes:
        """One of them."""

    def write_files(self, run_id: str, folder: Path) -> None:
        """Add files, each in place of one of the same name."""


@dataclass
class Rewrapped:
    """How many data keys were wrapped anew, and how many were so already."""

    checkpoints: int = 0
    models: int = 0
    unchanged: int = 0

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return asdict(self)


def rewrap_all(settings: Settings) -> Rewrapped:
    """Wrap anew what checkpoints, waves and all model versions are encrypted with.

    Raises:
        SettingsError: this process has no keys.
        ArtifactRefused: one was changed, or the key that wraps it is gone; those before it are done.
        StorageUnreachable, TrackingUnreachable: what does not answer; begin again.
    """
    keys, done = ArtifactKeys(Path(settings.required("artifact_keys_dir"))), Rewrapped()
    rewrap_checkpoints(open_stores(settings).checkpoints, keys, done)
    tracker = Tracker.of(settings)
    rewrap_models(tracker, sorted({version.run_id for version in tracker.versions()}), keys, done)
    return done


def rewrap_checkpoints(store: ObjectStore, keys: ArtifactKeys, done: Rewrapped) -> None:
    """Those in a bucket; a run may be writing to it."""
    for name, sealed in list(keys_below(store, "")):
        try:
            wrapped = store.get(name)
        except ObjectMissing:
            continue  # Its round has gone meanwhile.
        anew = keys.rewrap(wrapped)
        if anew == wrapped:
            done.unchanged += 1
            continue
        store.put(name, anew)
        done.checkpoints += 1
        if not store.exists(sealed):
            store.delete(name)


def rewrap_models(models: Models, runs: Iterable[str], keys: ArtifactKeys, done: Rewrapped) -> None:
    """Those of the models of these runs."""
    for run in runs:
        names = models.file_names(run)
        for name in (name for name in names if name.endswith(KEY) and object_of(name) in names):
            wrapped = models.read_file(run, name)
            anew = keys.rewrap(wrapped)
            if anew == wrapped:
                done.unchanged += 1
                continue
            with tempfile.TemporaryDirectory(prefix="tejido-key-") as folder:
                (Path(folder) / name).write_bytes(anew)
                models.write_files(run, Path(folder))
            done.models += 1
