"""Where the coordinator reads the catalogue and keeps its checkpoints: buckets, or a simulation's folder."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.objects import DirectoryStore, ObjectStore, S3ObjectStore
from core.settings import Settings

OWNER = "coordinator"
"""Whose features the coordinator caches; the index build shares them."""


@dataclass(frozen=True)
class Stores:
    """The coordinator's two stores."""

    data: ObjectStore
    checkpoints: ObjectStore


def open_stores(settings: Settings) -> Stores:
    """The stores that this process's settings name; raises SettingsError when they name none."""
    if settings.simulation_dir:
        root = settings.simulation_dir
        return Stores(DirectoryStore(root / "data"), DirectoryStore(root / "checkpoints"))
    data, checkpoints = (S3ObjectStore(settings.platform_bucket(name)) for name in ("data", "checkpoints"))
    return Stores(data, checkpoints)
