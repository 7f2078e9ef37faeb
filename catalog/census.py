"""Who holds how many products of what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from catalog.errors import PartitionInvalid
from catalog.manifest import CatalogueManifest
from catalog.objects import ObjectStore
from catalog.partitions import parse_partition
from catalog.product import ATTRIBUTES
from catalog.shards import read_rows

DEFAULT_ATTRIBUTE = "sub_category"
UNKNOWN = "unknown"
"""Stands for products that have no value."""
BATCH = 4096


@dataclass(frozen=True)
class Census:
    """The train split of one catalogue version by client and by the values of an attribute."""

    by: str
    partition: str
    seed: int
    clients: dict[str, dict[str, int]]
    """Client → value → products, clients in the order of the manifest."""


def count_values(
    clients: Iterable[str], owners: Iterable[str], values: Iterable[str | None]
) -> dict[str, dict[str, int]]:
    """How many products of each value each client holds.

    Args:
        clients: all of them; they stand in this order, also those that hold nothing.
        owners: client of each product.
        values: value of each product, as many; None counts as ``unknown``.
    """
    counts: dict[str, Counter[str]] = {client: Counter() for client in clients}
    for owner, value in zip(owners, values, strict=True):
        counts[owner][value or UNKNOWN] += 1
    return {client: dict(held) for client, held in counts.items()}


def take_census(store: ObjectStore, manifest: CatalogueManifest, by: str | None = None) -> Census:
    """Count the train split; reads its shards, but of their columns only one.

    Args:
        store: the platform's bucket.
        manifest: of a version that was given to clients.
        by: one of ATTRIBUTES; None takes the partition's own, or ``sub_category`` where it has none.

    Raises:
        PartitionInvalid: nobody holds this catalogue, or there is no such attribute.
    """
    if manifest.partition is None:
        raise PartitionInvalid(
            f"Catalogue {manifest.version} was given to no client.", hint="Load it again: `tejido catalog load`."
        )
    by = by or parse_partition(manifest.partition).by or DEFAULT_ATTRIBUTE
    if by not in ATTRIBUTES:
        raise PartitionInvalid(f"Products have no attribute {by!r}.", hint=f"Choose one of: {', '.join(ATTRIBUTES)}.")
    owners = (row["client"] for row in read_rows(store, manifest.owners, columns=["client"], batch=BATCH))
    values = (row[by] for row in read_rows(store, manifest.splits["train"], columns=[by], batch=BATCH))
    names = [client.name for client in manifest.clients]
    return Census(by, manifest.partition, manifest.seed, count_values(names, owners, values))
