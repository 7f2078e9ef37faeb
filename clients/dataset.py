"""The client's own products: in its own bucket, or in a folder of a simulation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from catalog.manifest import ClientManifest, client_manifest
from catalog.objects import DirectoryStore, ObjectStore, S3ObjectStore
from catalog.product import Product
from catalog.shards import read_shards
from clients.errors import ClientMisconfigured
from core.settings import Bucket, Settings

FOLDER_PREFIX = "client-"


@dataclass(frozen=True)
class Dataset:
    """One client's partition of the train split."""

    client: str
    store: ObjectStore
    manifest: ClientManifest

    def products(self) -> Iterator[Product]:
        """Stream the products; a shard whose SHA-256 is wrong raises ShardDamaged."""
        return read_shards(self.store, self.manifest.shards)


def open_dataset(settings: Settings, *, partition: int | None) -> Dataset:
    """The partition that this process serves.

    A client's process has its bucket in its settings. A simulated one has a folder of clients instead, in its
    settings too: what the coordinator sends never decides what a client reads.

    Args:
        settings: of this process.
        partition: number of the virtual client in Flower's simulation engine, None elsewhere.

    Raises:
        ClientMisconfigured: neither bucket nor folder is known, or a client with a bucket is told to misbehave.
        CatalogueMissing: there is no partition yet.
    """
    if settings.simulation_faults and (settings.client_bucket or not settings.simulation_dir):
        raise ClientMisconfigured(
            "This process is told to attack or to drop out, which only simulated clients may.",
            hint="Remove TEJIDO_SIMULATION_FAULTS from its settings.",
        )
    if settings.client_bucket and settings.client_name:
        store: ObjectStore = S3ObjectStore(
            Bucket(
                endpoint=settings.required("s3_endpoint"),
                access_key=settings.required("s3_access_key"),
                secret_key=SecretStr(settings.required("s3_secret_key")),
                bucket=settings.client_bucket,
                region=settings.s3_region,
            )
        )
        return Dataset(settings.client_name, store, client_manifest(store))
    if settings.simulation_dir and partition is not None:
        folder = simulated_clients(settings.simulation_dir)[partition]
        store = DirectoryStore(folder)
        return Dataset(folder.name.removeprefix(FOLDER_PREFIX), store, client_manifest(store))
    raise ClientMisconfigured(
        "This process does not know whose partition it serves.",
        hint="Set TEJIDO_CLIENT_NAME, TEJIDO_CLIENT_BUCKET and TEJIDO_S3_*, or TEJIDO_ENV_FILE.",
    )


def simulated_clients(root: Path) -> list[Path]:
    """Folders of a simulation's clients, in the order of their partition numbers."""
    return sorted(path for path in root.glob(f"{FOLDER_PREFIX}*") if path.is_dir())
