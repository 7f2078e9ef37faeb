"""Where the coordinator reads the catalogue, keeps checkpoints and tracks: services, or a simulation's folder."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.objects import DirectoryStore, ObjectStore, S3ObjectStore
from core.settings import Settings
from server.sealing import Seals

LOCAL_TRACKING = "mlflow.db"
OWNER = "coordinator"
"""Whose features the coordinator caches; the index build shares them."""


@dataclass(frozen=True)
class Stores:
    """The coordinator's two stores, and what models and checkpoints are sealed with."""

    data: ObjectStore
    checkpoints: ObjectStore
    seals: Seals | None = None


def open_stores(settings: Settings) -> Stores:
    """The stores that this process's settings name; raises SettingsError when they name none."""
    if settings.simulation_dir:
        root = settings.simulation_dir
        return Stores(DirectoryStore(root / "data"), DirectoryStore(root / "checkpoints"), Seals.of(settings))
    data, checkpoints = (S3ObjectStore(settings.platform_bucket(name)) for name in ("data", "checkpoints"))
    return Stores(data, checkpoints, Seals.of(settings))


def tracking_uri(settings: Settings) -> str:
    """The MLflow server; in a simulation without one, a SQLite file in the simulation's folder."""
    if settings.mlflow_uri is None and settings.simulation_dir:
        return f"sqlite:///{settings.simulation_dir.resolve() / LOCAL_TRACKING}"
    return settings.required("mlflow_uri")


def local_artifacts(settings: Settings) -> str | None:
    """Where a simulation without an MLflow server keeps artifacts; None leaves that to the server."""
    if settings.mlflow_uri is None and settings.simulation_dir:
        return (settings.simulation_dir.resolve() / "mlflow").as_uri()
    return None
