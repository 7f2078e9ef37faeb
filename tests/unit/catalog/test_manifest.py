"""Manifests: written as JSON, read back equal, refused when they are something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.errors import CatalogueMissing, ManifestInvalid, VersionInvalid
from catalog.manifest import (
    LIVE_KEY,
    CatalogueManifest,
    ClientManifest,
    ClientPartition,
    RejectExample,
    checked_version,
    client_manifest,
    live_manifest,
    manifest_of,
    new_version,
    version_key,
)
from catalog.objects import DirectoryStore
from catalog.shards import Shard

MANIFEST = CatalogueManifest(
    version="v1",
    source="dir:x",
    dataset="x",
    seed=7,
    read=12,
    kept=11,
    rejected=1,
    reject_reasons={"image_missing": 1},
    reject_examples=(RejectExample(3, "1164", "image_missing", "images/1164.jpg"),),
    splits={"train": (Shard("t", 9, "aa"),), "val": (Shard("v", 1, "bb"),), "test": (Shard("e", 1, "cc"),)},
    created_at="2025-01-01T00:00:00+00:00",
    clients=(ClientPartition("aurora", 9, "client-aurora"),),
    partition="iid",
)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "data")


def test_a_manifest_survives_json() -> None:
    assert CatalogueManifest.from_json(MANIFEST.to_json()) == MANIFEST
    client = ClientManifest("v1", (Shard("p", 3, "ff"),), 3)
    assert ClientManifest.from_json(client.to_json()) == client


def test_products_are_counted_by_split() -> None:
    assert [MANIFEST.products(split) for split in ("train", "val", "test")] == [9, 1, 1]


def test_only_the_live_key_makes_a_catalogue_live(store: DirectoryStore) -> None:
    store.put(version_key("v1"), MANIFEST.to_json())
    with pytest.raises(CatalogueMissing, match="No catalogue is loaded in data"):
        live_manifest(store)
    assert manifest_of(store, "v1") == MANIFEST
    store.put(LIVE_KEY, MANIFEST.to_json())
    assert live_manifest(store) == MANIFEST


def test_an_unknown_version_and_an_empty_bucket_are_said(store: DirectoryStore) -> None:
    with pytest.raises(CatalogueMissing, match="version v2 does not exist"):
        manifest_of(store, "v2")
    with pytest.raises(CatalogueMissing, match="holds no partition"):
        client_manifest(store)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"version": 1}', b"\xff"])
def test_something_else_is_no_manifest(store: DirectoryStore, data: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        CatalogueManifest.from_json(data)
    with pytest.raises(ManifestInvalid):
        ClientManifest.from_json(data)


def test_versions_are_fresh_and_safe() -> None:
    assert checked_version(new_version()) != new_version()
    for bad in ("", "../x", "a/b", "-x", "x" * 81):
        with pytest.raises(VersionInvalid):
            checked_version(bad)
