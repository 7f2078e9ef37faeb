"""Step three, second part: give each client its part of the train split, in its own bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from catalog.errors import CatalogueMissing, ManifestInvalid, ObjectMissing, PartitionInvalid
from catalog.etl.assign import assign
from catalog.etl.summary import summary
from catalog.manifest import (
    LIVE_KEY,
    CatalogueManifest,
    ClientManifest,
    client_manifest,
    count_shards,
    manifest_of,
)
from catalog.objects import ObjectStore, S3ObjectStore
from catalog.partitions import parse_partition
from catalog.shards import PRODUCT_SCHEMA, Shard, ShardWriter, read_rows
from core.progress import NoProgress, Progress, track
from core.settings import ClientBucket


def client_stores(buckets: Iterable[ClientBucket]) -> dict[str, ObjectStore]:
    """A store for each client's bucket, by the client's name."""
    return {bucket.name: S3ObjectStore(bucket) for bucket in buckets}


def partition(
    version: str,
    *,
    spec: str,
    clients: Mapping[str, ObjectStore],
    store: ObjectStore,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Spread the train split over the clients' buckets: `assign`, `fill` for all, `hand_over`.

    Returns:
        The summary of the version with its ``clients``.

    Raises:
        PartitionInvalid: the spec, or no clients.
        EmptyPartition: a client would get no product.
        StorageUnreachable, StorageRefused: a client's bucket cannot be written.
    """
    parse_partition(spec)
    assign(version, spec=spec, clients=clients, store=store)
    fill(version, clients=clients, store=store, progress=progress)
    return hand_over(version, clients=clients, store=store)


def fill(
    version: str, *, clients: Mapping[str, ObjectStore], store: ObjectStore, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Write the parts of these clients to their buckets, beside what is live there; repeating it writes the same again.

    Shards that the client has from the version before are not stored again.

    Args:
        version: one that `assign` has finished.
        clients: those to fill, one or all: name → store of the client's bucket.
        store: the platform's bucket.
        progress: told of the stage ``partition``.

    Returns:
        For each client its ``client``, ``products``, ``shards`` and ``reused``.

    Raises:
        PartitionInvalid: nothing is assigned, or not to this client.
        StorageUnreachable, StorageRefused: a client's bucket cannot be written.
    """
    manifest = manifest_of(store, version)
    _require_assigned(manifest, clients)
    shards = _write_clients(store, manifest, clients, progress or NoProgress())
    filled = []
    for name, bucket in clients.items():
        part = ClientManifest(version, shards[name], sum(shard.rows for shard in shards[name]))
        bucket.put(_part_key(version), part.to_json())
        filled.append({"client": name, "products": part.products, **count_shards(part.shards, version)})
    return filled


def hand_over(version: str, *, clients: Mapping[str, ObjectStore], store: ObjectStore) -> dict[str, Any]:
    """Make the parts the clients' own, once every one of them lies ready; repeating it changes nothing.

    Shards of a client's version before last are then removed from its bucket.

    Returns:
        The summary of the version.

    Raises:
        PartitionInvalid: nothing is assigned, or a client's bucket is not known any more.
        CatalogueMissing: a client's part does not lie ready.
    """
    manifest = manifest_of(store, version)
    parts = {client.name: _part(clients[client.name], version, client.name) for client in manifest.clients}
    for name, part in parts.items():
        _move(clients[name], part)
    return summary(manifest)


def _require_assigned(manifest: CatalogueManifest, clients: Iterable[str]) -> None:
    if not manifest.owners:
        raise PartitionInvalid(f"Nobody holds version {manifest.version} yet.", hint="Run its step `assign` first.")
    strangers = sorted(set(clients) - {client.name for client in manifest.clients})
    if strangers:
        raise PartitionInvalid(
            f"Nothing of version {manifest.version} is for {', '.join(strangers)}.", hint="Assign it again."
        )


def _write_clients(
    store: ObjectStore, manifest: CatalogueManifest, clients: Mapping[str, ObjectStore], progress: Progress
) -> dict[str, tuple[Shard, ...]]:
    """Write the shards of these clients; none of them is live yet."""
    rows = read_rows(store, manifest.splits["train"])
    tracked = track(rows, progress, "partition", total=manifest.products("train"))
    prefix = f"partitions/{manifest.version}"
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(ShardWriter(bucket, prefix, PRODUCT_SCHEMA, known=held.shards if held else ()))
            for name, bucket in clients.items()
            for held in (_held(bucket),)
        }
        for row, client in zip(tracked, _owners(store, manifest), strict=True):
            if client in writers:
                writers[client].add(row)
    return {name: tuple(writer.shards) for name, writer in writers.items()}


def _owners(store: ObjectStore, manifest: CatalogueManifest) -> Iterator[str]:
    return (str(row["client"]) for row in read_rows(store, manifest.owners, columns=["client"]))


def _held(bucket: ObjectStore) -> ClientManifest | None:
    """What the client has now."""
    try:
        return client_manifest(bucket)
    except (CatalogueMissing, ManifestInvalid):
        return None  # Its first partition, or one that nobody can be reading.


def _part_key(version: str) -> str:
    return f"partitions/{version}/manifest.json"


def _part(bucket: ObjectStore, version: str, client: str) -> ClientManifest:
    """What lies ready for a client."""
    try:
        return ClientManifest.from_json(bucket.get(_part_key(version)))
    except ObjectMissing:
        raise CatalogueMissing(
            f"The part of {client} in version {version} does not lie ready.", hint="Run the step `fill` for it first."
        ) from None


def _move(bucket: ObjectStore, manifest: ClientManifest) -> None:
    """Make the new partition the client's own, then drop what it can no longer be reading."""
    held = _held(bucket) or manifest
    bucket.put(LIVE_KEY, manifest.to_json())
    named = {shard.key for shard in (*held.shards, *manifest.shards)}
    for key in list(bucket.list("partitions/")):
        if key not in named and key.split("/")[1] not in (held.version, manifest.version):
            bucket.delete(key)
