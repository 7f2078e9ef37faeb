"""Counting who holds what."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.census import count_values, take_census
from catalog.errors import PartitionInvalid
from catalog.etl import clean_and_split, obtain, partition
from catalog.manifest import CatalogueManifest, client_manifest, manifest_of
from catalog.objects import DirectoryStore, ObjectStore
from catalog.shards import read_shards

CLIENTS = ("boreal", "aurora")


def test_products_are_counted_by_client_and_value() -> None:
    counted = count_values(["b", "a", "idle"], ["a", "b", "a", "a"], ["Men", None, "Women", "Men"])
    assert counted == {"b": {"unknown": 1}, "a": {"Men": 2, "Women": 1}, "idle": {}}
    assert list(counted) == ["b", "a", "idle"]


def test_a_list_of_owners_that_is_too_short_is_noticed() -> None:
    with pytest.raises(ValueError, match="zip"):
        count_values(["a"], ["a"], ["Men", "Men"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CatalogueManifest]:
    """A synthetic catalogue, spread by gender."""
    root = tmp_path_factory.mktemp("shop")
    store = DirectoryStore(root / "data")
    clients: dict[str, ObjectStore] = {name: DirectoryStore(root / name) for name in CLIENTS}
    obtain("v1", spec="synthetic", store=store, limit=60, seed=3)
    clean_and_split("v1", store=store)
    partition("v1", spec="dirichlet(0.5, gender)", clients=clients, store=store)
    return root, manifest_of(store, "v1")


def test_the_census_is_what_the_clients_buckets_hold(shop: tuple[Path, CatalogueManifest]) -> None:
    root, manifest = shop
    census = take_census(DirectoryStore(root / "data"), manifest, "season")
    assert (census.by, census.partition, census.seed) == ("season", "dirichlet(0.5, gender)", 3)
    assert list(census.clients) == list(CLIENTS)
    for name in CLIENTS:
        store = DirectoryStore(root / name)
        held = Counter(product.season or "unknown" for product in read_shards(store, client_manifest(store).shards))
        assert census.clients[name] == held


def test_the_partitions_own_attribute_is_counted_where_none_is_named(shop: tuple[Path, CatalogueManifest]) -> None:
    root, manifest = shop
    store = DirectoryStore(root / "data")
    assert take_census(store, manifest).by == "gender"
    assert take_census(store, replace(manifest, partition="iid")).by == "sub_category"


def test_an_attribute_that_is_none_is_refused(shop: tuple[Path, CatalogueManifest]) -> None:
    root, manifest = shop
    with pytest.raises(PartitionInvalid, match="'price'"):
        take_census(DirectoryStore(root / "data"), manifest, "price")


def test_a_catalogue_that_nobody_holds_is_refused(shop: tuple[Path, CatalogueManifest]) -> None:
    root, manifest = shop
    with pytest.raises(PartitionInvalid, match="given to no client"):
        take_census(DirectoryStore(root / "data"), replace(manifest, partition=None))
