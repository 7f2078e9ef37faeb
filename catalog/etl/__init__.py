"""From a source to a live catalogue, in four steps that can run as four processes.

    obtain          source → raw/<version>/
    clean_and_split raw → {train,val,test}/<version>/ and manifests/<version>.json
    partition       train → each client's bucket: `assign` who holds what, `fill` each bucket, `hand_over` all
    publish         rows of fashion_files, and manifest.json: only now is anything live

Every step may be repeated for its version, hands small JSON-able dicts on, and needs constant memory. A shard whose
bytes the live catalogue has already is not stored again: the new version names the old one's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.etl.assign import assign
from catalog.etl.clean import clean_and_split
from catalog.etl.partition import client_stores, fill, hand_over, partition
from catalog.etl.publish import publish
from catalog.etl.raw import obtain
from catalog.etl.summary import summary
from catalog.manifest import new_version
from catalog.objects import ObjectStore
from catalog.partitions import parse_partition
from catalog.store import CatalogueStore
from core.progress import Progress

__all__ = [
    "assign",
    "clean_and_split",
    "client_stores",
    "fill",
    "hand_over",
    "load",
    "obtain",
    "partition",
    "publish",
    "summary",
]


def load(
    spec: str,
    *,
    store: ObjectStore,
    catalogue: CatalogueStore,
    clients: Mapping[str, ObjectStore],
    partition_spec: str = "iid",
    limit: int | None = None,
    seed: int = 0,
    version: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """All four steps in this process; returns the summary of the version that is now live."""
    # What can be wrong at once should not be said only after a download.
    parse_partition(partition_spec)
    version = version or new_version()
    obtain(version, spec=spec, store=store, limit=limit, seed=seed, progress=progress)
    clean_and_split(version, store=store, progress=progress)
    partition(version, spec=partition_spec, clients=clients, store=store, progress=progress)
    return publish(version, store=store, catalogue=catalogue, progress=progress)
