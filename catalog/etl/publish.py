"""Step four: make the version the live one, rows and manifest together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from catalog.errors import CatalogueMissing, ManifestInvalid
from catalog.etl.summary import summary
from catalog.manifest import LIVE_KEY, CatalogueManifest, live_manifest, manifest_of, version_key
from catalog.objects import ObjectStore, delete_all
from catalog.product import ATTRIBUTES, SPLITS
from catalog.shards import read_rows
from catalog.store import CatalogueStore, FashionFile
from core.progress import NoProgress, Progress, track

COLUMNS = ("id", "filename", *ATTRIBUTES, "year", "product_display_name", "image_sha256")
PREFIXES = ("raw", *SPLITS, "owners")


def publish(
    version: str, *, store: ObjectStore, catalogue: CatalogueStore, progress: Progress | None = None
) -> dict[str, Any]:
    """Replace the rows of ``fashion_files`` in one transaction, and the live manifest with them.

    The manifest is written when the rows are in and before they are committed: if either fails, neither changes. What
    is older than the version that was live until now is then removed from the bucket.

    Returns:
        The summary of the version.

    Raises:
        CatalogueMissing: the version is not cleaned.
        DatabaseUnreachable, StorageUnreachable: nothing live was changed.
    """
    manifest = manifest_of(store, version)
    keep = {version, _live_version(store)}
    rows = track(_rows(store, manifest), progress or NoProgress(), "rows", total=manifest.kept)
    catalogue.replace_products(rows, before_commit=lambda: store.put(LIVE_KEY, manifest.to_json()))
    _drop_older(store, manifest, keep)
    return summary(manifest)


def _rows(store: ObjectStore, manifest: CatalogueManifest) -> Iterator[FashionFile]:
    """The rows of all splits; a product of the train split has its client as owner."""
    now = datetime.now(UTC)
    owners = read_rows(store, manifest.owners)
    for split, shards in manifest.splits.items():
        for shard in shards:
            for row in read_rows(store, [shard], columns=COLUMNS):
                is_owned = split == "train" and bool(manifest.owners)
                yield FashionFile(
                    **row,
                    s3_path=f"{store.url(shard.key)}#{row['id']}",
                    dataset=manifest.dataset,
                    owner=_owner(owners, row["id"]) if is_owned else None,
                    split=split,
                    created_at=now,
                )


def _owner(owners: Iterator[dict[str, Any]], product_id: int) -> str:
    """The next product's client; the list of owners goes in step with the train split."""
    entry = next(owners, None)
    if entry is None or entry["id"] != product_id:
        raise ManifestInvalid(
            f"The list of owners does not fit the train split at product {product_id}.", hint="Partition again."
        )
    return str(entry["client"])


def _live_version(store: ObjectStore) -> str | None:
    try:
        return live_manifest(store).version
    except (CatalogueMissing, ManifestInvalid):
        return None  # The first catalogue here, or one that nobody could read.


def _drop_older(store: ObjectStore, published: CatalogueManifest, keep: set[str | None]) -> None:
    """Remove versions that were cleaned before the published one; later ones may be in the making."""
    for key in list(store.list("manifests/")):
        version = key.removeprefix("manifests/").removesuffix(".json")
        if version in keep or manifest_of(store, version).created_at >= published.created_at:
            continue
        # The manifest goes first: a version without one is no version, whole or not.
        store.delete(version_key(version))
        for prefix in PREFIXES:
            delete_all(store, f"{prefix}/{version}/")
