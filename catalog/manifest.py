"""What a catalogue version consists of. ``manifest.json`` is the only pointer to what is live, and is written last."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from catalog.errors import CatalogueMissing, ManifestInvalid, ObjectMissing, VersionInvalid
from catalog.objects import ObjectStore
from catalog.shards import Shard, read_rows

LIVE_KEY = "manifest.json"
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


@dataclass(frozen=True, slots=True)
class RejectExample:
    """One rejected row, for people: its number in the source (the first is 1), its id as written, what was wrong."""

    row: int
    id: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ClientPartition:
    """How much of the train split one client holds, and in which bucket."""

    name: str
    products: int
    bucket: str


@dataclass(frozen=True, slots=True)
class CatalogueManifest:
    """One catalogue version: where it came from, what was rejected, where its products lie, who holds which."""

    version: str
    source: str
    dataset: str
    seed: int
    read: int
    kept: int
    rejected: int
    reject_reasons: Mapping[str, int]
    reject_examples: tuple[RejectExample, ...]
    splits: Mapping[str, tuple[Shard, ...]]
    """Shards by split, keys of `catalog.product.SPLITS`."""
    created_at: str
    """ISO 8601, UTC."""
    clients: tuple[ClientPartition, ...] = ()
    partition: str | None = None
    """Partition spec, or None when the train split was given to nobody."""
    owners: tuple[Shard, ...] = field(default=())
    """Shards of (id, client), row by row in the order of the train split; empty when it was given to nobody."""
    holdouts: tuple[Shard, ...] = field(default=())
    """Shards of (id, split, client) for val, then test: whose each product would be by the same rule."""

    def products(self, split: str) -> int:
        """Number of products of one split."""
        return sum(shard.rows for shard in self.splits[split])

    @property
    def shards(self) -> list[Shard]:
        """All shards of all splits, in the order of the splits."""
        return [shard for shards in self.splits.values() for shard in shards]

    @property
    def all_shards(self) -> list[Shard]:
        """All that this version refers to: products, and who holds them."""
        return [*self.shards, *self.owners, *self.holdouts]

    @property
    def content_sha256(self) -> str:
        """Equal for equal catalogues (products, splits, who holds what), whenever they were loaded."""
        content = {
            "dataset": self.dataset,
            "seed": self.seed,
            "splits": {split: [shard.sha256 for shard in shards] for split, shards in self.splits.items()},
            "partition": self.partition,
            "owners": [shard.sha256 for shard in (*self.owners, *self.holdouts)],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> bytes:
        """The manifest as indented JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> CatalogueManifest:
        """Read what `to_json` wrote; ManifestInvalid when it is something else."""
        try:
            fields: dict[str, Any] = json.loads(data)
            fields["reject_examples"] = tuple(RejectExample(**entry) for entry in fields["reject_examples"])
            fields["splits"] = {split: _shards(shards) for split, shards in fields["splits"].items()}
            fields["clients"] = tuple(ClientPartition(**entry) for entry in fields["clients"])
            fields["owners"] = _shards(fields["owners"])
            fields["holdouts"] = _shards(fields.get("holdouts", []))
            return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ManifestInvalid(
                f"The catalogue manifest cannot be read: {type(error).__name__}: {error}.",
                hint="Load the catalogue again: `tejido catalog load`.",
            ) from error


@dataclass(frozen=True, slots=True)
class ClientManifest:
    """What a client's bucket holds: ``manifest.json`` there, written after its shards."""

    version: str
    shards: tuple[Shard, ...]
    products: int

    def to_json(self) -> bytes:
        """The manifest as indented JSON."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ClientManifest:
        """Read what `to_json` wrote; ManifestInvalid when it is something else."""
        try:
            fields = json.loads(data)
            return cls(fields["version"], _shards(fields["shards"]), int(fields["products"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestInvalid(
                f"The client's manifest cannot be read: {type(error).__name__}: {error}.",
                hint="Partition the catalogue again: `tejido catalog load`.",
            ) from error


def new_version() -> str:
    """A fresh version: UTC time for people, random digits against collisions."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def version_of_run(run_id: str) -> str:
    """The version that a scheduler's run works on: always the same for the same run id, whatever signs that has."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", run_id).strip("-")[:60] or "run"
    return f"{readable}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


def checked_version(version: str) -> str:
    """``version``, or VersionInvalid when it could not be part of a key."""
    if not VERSION.fullmatch(version):
        raise VersionInvalid(f"{version!r} is no catalogue version.", hint="Letters, digits, '_' and '-', at most 80.")
    return version


def version_key(version: str) -> str:
    """Where the manifest of one version is kept."""
    return f"manifests/{checked_version(version)}.json"


def live_manifest(store: ObjectStore) -> CatalogueManifest:
    """The catalogue that is live; CatalogueMissing when none ever was."""
    try:
        return CatalogueManifest.from_json(store.get(LIVE_KEY))
    except ObjectMissing:
        raise CatalogueMissing(
            f"No catalogue is loaded in {store.name}.", hint="Load one: `tejido catalog load`."
        ) from None


def holdout_owners(store: ObjectStore, manifest: CatalogueManifest, split: str) -> list[str]:
    """The client of each product of val or test, in the order of the split; empty where the catalogue has none."""
    rows = read_rows(store, manifest.holdouts, columns=["split", "client"])
    return [row["client"] for row in rows if row["split"] == split]


def manifest_of(store: ObjectStore, version: str) -> CatalogueManifest:
    """One version's manifest, live or not; CatalogueMissing when that version was never cleaned."""
    try:
        return CatalogueManifest.from_json(store.get(version_key(version)))
    except ObjectMissing:
        raise CatalogueMissing(
            f"Catalogue version {version} does not exist in {store.name}.", hint="Run its cleaning step first."
        ) from None


def published_manifest(store: ObjectStore) -> CatalogueManifest | None:
    """The catalogue that is live; None where none is, or one that nobody could read."""
    try:
        return live_manifest(store)
    except (CatalogueMissing, ManifestInvalid):
        return None


def count_shards(shards: Iterable[Shard], version: str) -> dict[str, int]:
    """How many shards a version has, and how many of them were ``reused``: stored by an earlier version already."""
    keys = [shard.key for shard in shards]
    return {"shards": len(keys), "reused": sum(f"/{version}/" not in key for key in keys)}


def manifest_sha256(store: ObjectStore, version: str) -> str:
    """Hex SHA-256 of a version's manifest as it is stored; with it, of every shard, which the manifest has by hash.

    Raises:
        ObjectMissing: the version is not there, or not any more.
    """
    return hashlib.sha256(store.get(version_key(version))).hexdigest()


def client_manifest(store: ObjectStore) -> ClientManifest:
    """What this client's bucket holds; CatalogueMissing when nothing was ever put there."""
    try:
        return ClientManifest.from_json(store.get(LIVE_KEY))
    except ObjectMissing:
        raise CatalogueMissing(
            f"The bucket {store.name} holds no partition.", hint="Load the catalogue: `tejido catalog load`."
        ) from None


def _shards(entries: list[dict[str, Any]]) -> tuple[Shard, ...]:
    return tuple(Shard(**entry) for entry in entries)
