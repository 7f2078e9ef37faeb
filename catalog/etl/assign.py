"""Step three, first part: decide who holds which product, and write it down. Nothing reaches a client yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from catalog.etl.summary import summary
from catalog.manifest import CatalogueManifest, ClientPartition, manifest_of, published_manifest, version_key
from catalog.objects import ObjectStore
from catalog.partitions import Assignment, Partition, parse_partition
from catalog.shards import Shard, ShardWriter, read_rows

OWNER_SCHEMA = pa.schema([pa.field("id", pa.int64()), pa.field("client", pa.string())])
HOLDOUT_SCHEMA = OWNER_SCHEMA.append(pa.field("split", pa.string()))
HELD_OUT = ("val", "test")
OWNERS_PER_SHARD = 100_000


def assign(version: str, *, spec: str, clients: Mapping[str, ObjectStore], store: ObjectStore) -> dict[str, Any]:
    """Write down in the version's manifest which client holds which product; repeating it writes the same again.

    Args:
        version: one that `clean_and_split` has finished.
        spec: ``iid``, ``dirichlet(alpha, by)``, ``season`` or ``gender``.
        clients: name → store of the client's bucket, of which only the name is looked at.
        store: the platform's bucket.

    Returns:
        The summary of the version with its ``clients``.

    Raises:
        PartitionInvalid: the spec, or no clients.
        EmptyPartition: a client would get no product.
    """
    manifest = manifest_of(store, version)
    how = parse_partition(spec)
    train = labelled_products(store, manifest, how, "train")
    assignment = Assignment(train, how, list(clients), seed=manifest.seed)
    counts = Counter(assignment.train)
    done = replace(
        manifest,
        clients=tuple(ClientPartition(name, counts[name], bucket.name) for name, bucket in clients.items()),
        partition=spec,
        owners=_write_owners(store, manifest, assignment.train),
        holdouts=_write_holdouts(store, manifest, how, assignment),
    )
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
    """Note who holds which product, for the clients' parts and for the rows that `publish` writes."""
    ids = read_rows(store, manifest.splits["train"], columns=["id"])
    with _writer(store, f"owners/{manifest.version}", OWNER_SCHEMA) as writer:
        for row, client in zip(ids, assigned, strict=True):
            writer.add({**row, "client": client})
    return tuple(writer.shards)


def _write_holdouts(
    store: ObjectStore, manifest: CatalogueManifest, how: Partition, assignment: Assignment
) -> tuple[Shard, ...]:
    """Note whose the held-out products would be: a model is also judged by what each client finds of its own kind."""
    with _writer(store, f"owners/{manifest.version}/holdouts", HOLDOUT_SCHEMA) as writer:
        for split in HELD_OUT:
            ids = read_rows(store, manifest.splits[split], columns=["id"])
            clients = assignment.held_out(labelled_products(store, manifest, how, split))
            for row, client in zip(ids, clients, strict=True):
                writer.add({**row, "split": split, "client": client})
    return tuple(writer.shards)


def _writer(store: ObjectStore, prefix: str, schema: pa.Schema) -> ShardWriter:
    live = published_manifest(store)
    known = (*live.owners, *live.holdouts) if live else ()
    return ShardWriter(store, prefix, schema, rows_per_shard=OWNERS_PER_SHARD, known=known)
