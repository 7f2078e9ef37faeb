"""Step four: make the version the live one, rows and manifest together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from catalog.errors import ManifestInvalid
from catalog.etl.raw import raw_key, raw_shards
from catalog.etl.summary import summary
from catalog.manifest import LIVE_KEY, CatalogueManifest, manifest_of, published_manifest, version_key
from catalog.objects import ObjectStore
from catalog.product import ATTRIBUTES, SPLITS, brand_of
from catalog.shards import read_rows
from catalog.store import CatalogueStore, FashionFile
from core.progress import NoProgress, Progress, track

COLUMNS = ("id", "filename", *ATTRIBUTES, "year", "product_display_name", "image_sha256")
PREFIXES = ("raw", *SPLITS, "owners")


def publish(
    version: str, *, store: ObjectStore, catalogue: CatalogueStore, progress: Progress | None = None
) -> dict[str, Any]:
    """Replace the rows of ``fashion_files`` in one transaction, and the live manifest with them; may be repeated.

    The manifest is written when the rows are in and before they are committed: if either fails, neither changes. What
    is older than the version that was live until now is then removed from the bucket.

    Returns:
        The summary of the version.

    Raises:
        CatalogueMissing: the version is not cleaned.
        DatabaseUnreachable, StorageUnreachable: nothing live was changed.
    """
    manifest = manifest_of(store, version)
    live = published_manifest(store)
    rows = track(_rows(store, manifest), progress or NoProgress(), "rows", total=manifest.kept)
    catalogue.replace_products(rows, before_commit=lambda: store.put(LIVE_KEY, manifest.to_json()))
    # Published again, it has no new predecessor, and must not cost the one it has.
    if live and live.version != version:
        _drop_older(store, manifest, keep={version, live.version})
    return summary(manifest)


def _rows(store: ObjectStore, manifest: CatalogueManifest) -> Iterator[FashionFile]:
    """The rows of all splits; a product of the train split has its client as owner."""
    # The catalogue's own time, not this moment's: publishing it again gives the same rows.
    created_at = datetime.fromisoformat(manifest.created_at)
    owners = read_rows(store, manifest.owners)
    for split, shards in manifest.splits.items():
        for shard in shards:
            for row in read_rows(store, [shard], columns=COLUMNS):
                is_owned = split == "train" and bool(manifest.owners)
                yield FashionFile(
                    **row,
                    s3_path=f"{store.url(shard.key)}#{row['id']}",
                    brand=brand_of(row["product_display_name"]),
                    dataset=manifest.dataset,
                    owner=_owner(owners, row["id"]) if is_owned else None,
                    split=split,
                    created_at=created_at,
                )


def _owner(owners: Iterator[dict[str, Any]], product_id: int) -> str:
    """The next product's client; the list of owners goes in step with the train split."""
    entry = next(owners, None)
    if entry is None or entry["id"] != product_id:
        raise ManifestInvalid(
            f"The list of owners does not fit the train split at product {product_id}.", hint="Partition again."
        )
    return str(entry["client"])


def _drop_older(store: ObjectStore, published: CatalogueManifest, *, keep: set[str]) -> None:
    """Remove versions that were cleaned before the published one; later ones may be in the making."""
    versions = [key.removeprefix("manifests/").removesuffix(".json") for key in store.list("manifests/")]
    others = [manifest_of(store, version) for version in versions if version not in keep]
    outdated = [manifest for manifest in others if manifest.created_at < published.created_at]
    unneeded = {key for manifest in outdated for key in _objects(store, manifest)}
    for manifest in outdated:
        # The manifest goes first: a version without one is no version, whole or not.
        store.delete(version_key(manifest.version))
        store.delete(raw_key(manifest.version))
    for key in sorted(unneeded - _named(store)):
        store.delete(key)


def _objects(store: ObjectStore, manifest: CatalogueManifest) -> Iterator[str]:
    """All that was stored for a version, and all that it names of earlier ones: nobody else may name it any more."""
    yield from (shard.key for shard in (*manifest.all_shards, *raw_shards(store, manifest.version)))
    for prefix in PREFIXES:
        yield from store.list(f"{prefix}/{manifest.version}/")


def _named(store: ObjectStore) -> set[str]:
    """Keys of the shards that a manifest names, live or in the making."""
    versions = [key.removeprefix("manifests/").removesuffix(".json") for key in store.list("manifests/")]
    obtained = {key.split("/")[1] for key in store.list("raw/") if key.endswith("/manifest.json")}
    shards = [shard for version in versions for shard in manifest_of(store, version).all_shards]
    return {shard.key for shard in (*shards, *(s for version in obtained for s in raw_shards(store, version)))}
