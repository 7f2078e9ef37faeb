"""Step three: give each client its part of the train split, in its own bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

import pyarrow as pa

from catalog.errors import CatalogueMissing, ManifestInvalid
from catalog.etl.summary import summary
from catalog.manifest import (
    LIVE_KEY,
    CatalogueManifest,
    ClientManifest,
    ClientPartition,
    client_manifest,
    manifest_of,
    version_key,
)
from catalog.objects import ObjectStore, S3ObjectStore, delete_all
from catalog.partitions import Assignment, Partition, parse_partition
from catalog.shards import PRODUCT_SCHEMA, Shard, ShardWriter, read_rows
from core.progress import NoProgress, Progress, track
from core.settings import ClientBucket

OWNER_SCHEMA = pa.schema([pa.field("id", pa.int64()), pa.field("client", pa.string())])
HOLDOUT_SCHEMA = OWNER_SCHEMA.append(pa.field("split", pa.string()))
HELD_OUT = ("val", "test")
OWNERS_PER_SHARD = 100_000


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
    """Spread the train split over the clients' buckets; repeating it writes the same again.

    No client's ``manifest.json`` moves before all clients have all their shards. Shards of its version before last are
    then removed from each bucket.

    Args:
        version: one that `clean_and_split` has finished.
        spec: ``iid``, ``dirichlet(alpha, by)``, ``season`` or ``gender``.
        clients: name → store of the client's bucket.
        store: the platform's bucket.
        progress: told of the stage ``partition``.

    Returns:
        The summary of the version with its ``clients``.

    Raises:
        PartitionInvalid: the spec, or no clients.
        EmptyPartition: a client would get no product.
        StorageUnreachable, StorageRefused: a client's bucket cannot be written.
    """
    manifest = manifest_of(store, version)
    how = parse_partition(spec)
    train = labelled_products(store, manifest, how, "train")
    assignment = Assignment(train, how, list(clients), seed=manifest.seed)
    assigned = assignment.train
    owners = _write_owners(store, manifest, assigned)
    holdouts = _write_holdouts(store, manifest, how, assignment)
    shards = _write_clients(store, manifest, assigned, clients, progress or NoProgress())
    counts = Counter(assigned)
    for name, bucket in clients.items():
        _move(bucket, ClientManifest(version, shards[name], counts[name]))
    members = tuple(ClientPartition(name, counts[name], bucket.name) for name, bucket in clients.items())
    done = replace(manifest, clients=members, partition=spec, owners=owners, holdouts=holdouts)
    store.put(version_key(version), done.to_json())
    return summary(done)


def labelled_products(
    store: ObjectStore, manifest: CatalogueManifest, how: Partition, split: str
) -> Iterator[tuple[str, str | None]]:
    """Name and label of each product of a split, in order: what a partition looks at."""
    columns = ["product_display_name", *([how.by] if how.by else [])]
    for row in read_rows(store, manifest.splits[split], columns=columns):
        yield row["product_display_name"], row[how.by] if how.by else None


def _write_owners(store: ObjectStore, manifest: CatalogueManifest, assigned: list[str]) -> tuple[Shard, ...]:
    """Note who holds which product, for the rows that `publish` writes."""
    ids = read_rows(store, manifest.splits["train"], columns=["id"])
    prefix = f"owners/{manifest.version}"
    with ShardWriter(store, prefix, OWNER_SCHEMA, rows_per_shard=OWNERS_PER_SHARD) as writer:
        for row, client in zip(ids, assigned, strict=True):
            writer.add({**row, "client": client})
    return tuple(writer.shards)


def _write_holdouts(
    store: ObjectStore, manifest: CatalogueManifest, how: Partition, assignment: Assignment
) -> tuple[Shard, ...]:
    """Note whose the held-out products would be: a model is also judged by what each client finds of its own kind."""
    prefix = f"owners/{manifest.version}/holdouts"
    with ShardWriter(store, prefix, HOLDOUT_SCHEMA, rows_per_shard=OWNERS_PER_SHARD) as writer:
        for split in HELD_OUT:
            ids = read_rows(store, manifest.splits[split], columns=["id"])
            clients = assignment.held_out(labelled_products(store, manifest, how, split))
            for row, client in zip(ids, clients, strict=True):
                writer.add({**row, "split": split, "client": client})
    return tuple(writer.shards)


def _write_clients(
    store: ObjectStore,
    manifest: CatalogueManifest,
    assigned: list[str],
    clients: Mapping[str, ObjectStore],
    progress: Progress,
) -> dict[str, tuple[Shard, ...]]:
    """Write every client's shards; none of them is live yet."""
    rows: Iterator[dict[str, Any]] = read_rows(store, manifest.splits["train"])
    tracked = track(zip(rows, assigned, strict=True), progress, "partition", total=len(assigned))
    prefix = f"partitions/{manifest.version}"
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(ShardWriter(bucket, prefix, PRODUCT_SCHEMA)) for name, bucket in clients.items()
        }
        for row, client in tracked:
            writers[client].add(row)
    return {name: tuple(writer.shards) for name, writer in writers.items()}


def _move(bucket: ObjectStore, manifest: ClientManifest) -> None:
    """Make the new partition the client's own, then drop those that it can no longer be reading."""
    keep = {manifest.version}
    # None yet: the client's first partition. Unreadable: nobody can be reading it.
    with suppress(CatalogueMissing, ManifestInvalid):
        keep.add(client_manifest(bucket).version)
    bucket.put(LIVE_KEY, manifest.to_json())
    versions = {key.split("/")[1] for key in bucket.list("partitions/")}
    for old in sorted(versions - keep):
        delete_all(bucket, f"partitions/{old}/")
