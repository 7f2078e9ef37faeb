"""Step one: read the source once, as it is, into ``raw/<version>/``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from catalog.errors import CatalogueEmpty, CatalogueMissing, VersionInvalid
from catalog.manifest import checked_version, count_shards, published_manifest
from catalog.objects import ObjectStore, delete_all, get_or_none
from catalog.shards import Shard, ShardWriter, read_rows
from catalog.sources import RawRow, open_source
from catalog.sources.rows import RAW_SCHEMA
from core.progress import NoProgress, Progress, track

RAW_FIELDS = tuple(field.name for field in fields(RawRow))


@dataclass(frozen=True, slots=True)
class RawManifest:
    """What was obtained: ``raw/<version>/manifest.json``, written when all rows are in."""

    version: str
    source: str
    dataset: str
    limit: int | None
    seed: int
    rows: int
    shards: tuple[Shard, ...]


def obtain(
    version: str,
    *,
    spec: str,
    store: ObjectStore,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Copy the source's rows to the object store; does nothing when this version has them already.

    Shards that the live catalogue was made from are not stored again.

    Returns:
        ``version``, ``source``, ``dataset``, ``seed``, ``read`` (the number of rows), ``shards`` and ``reused``.

    Raises:
        SourceUnknown, SourceMissing, SourceUnreadable, ColumnsMissing, HubUnreachable: the source cannot be read.
        CatalogueEmpty: it has no rows.
        VersionInvalid: this version was obtained from something else.
    """
    prefix = f"raw/{checked_version(version)}"
    raw = _known(store, version)
    if raw is None:
        source = open_source(spec, limit=limit, seed=seed)
        delete_all(store, f"{prefix}/")
        rows = track(source, progress or NoProgress(), "download", total=source.expected)
        with ShardWriter(store, prefix, RAW_SCHEMA, known=_live_shards(store)) as writer:
            for row in rows:
                writer.add({name: getattr(row, name) for name in RAW_FIELDS})
        shards = tuple(writer.shards)
        raw = RawManifest(version, spec, source.dataset, limit, seed, sum(shard.rows for shard in shards), shards)
        if not raw.rows:
            raise CatalogueEmpty(f"The source {spec} has no rows.", hint="Choose another source.")
        store.put(raw_key(version), json.dumps(asdict(raw), indent=1).encode())
    elif (raw.source, raw.limit, raw.seed) != (spec, limit, seed):
        raise VersionInvalid(
            f"Version {version} was obtained from {raw.source} (limit {raw.limit}, seed {raw.seed}).",
            hint="Use a new version for another source.",
        )
    found = {"version": version, "source": raw.source, "dataset": raw.dataset, "seed": raw.seed, "read": raw.rows}
    return found | count_shards(raw.shards, version)


def raw_key(version: str) -> str:
    """Where it is written down what a version was obtained from."""
    return f"raw/{checked_version(version)}/manifest.json"


def raw_manifest(store: ObjectStore, version: str) -> RawManifest:
    """What `obtain` wrote; CatalogueMissing when it has not run for this version."""
    raw = _known(store, version)
    if raw is None:
        raise CatalogueMissing(f"Version {version} has no raw rows.", hint="Run its step `obtain` first.")
    return raw


def raw_rows(store: ObjectStore, raw: RawManifest) -> Iterator[RawRow]:
    """The rows of a version, in the source's order."""
    return (RawRow(**row) for row in read_rows(store, raw.shards))


def raw_shards(store: ObjectStore, version: str) -> tuple[Shard, ...]:
    """The raw shards that a version refers to; none where it was not obtained."""
    raw = _known(store, version)
    return raw.shards if raw else ()


def _live_shards(store: ObjectStore) -> tuple[Shard, ...]:
    live = published_manifest(store)
    return raw_shards(store, live.version) if live else ()


def _known(store: ObjectStore, version: str) -> RawManifest | None:
    data = get_or_none(store, raw_key(version))
    if data is None:
        return None
    entries = json.loads(data)
    return RawManifest(**{**entries, "shards": tuple(Shard(**entry) for entry in entries["shards"])})
