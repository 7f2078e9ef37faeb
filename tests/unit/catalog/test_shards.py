"""Shards: what is written is read back, in order, and damage is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.errors import ObjectMissing, ShardDamaged
from catalog.objects import DirectoryStore
from catalog.product import Product
from catalog.shards import PRODUCT_SCHEMA, Shard, ShardWriter, read_rows, read_shards, row_of, write_shards


def product(number: int, *, image_bytes: int = 50) -> Product:
    image = bytes([number % 256]) * image_bytes
    return Product(
        id=number,
        filename=f"{number}.jpg",
        gender="Women" if number % 2 else None,
        master_category="Apparel",
        sub_category="Topwear",
        article_type="Tshirts",
        base_colour="Blue",
        season=None,
        year=2012 if number % 3 else None,
        usage="Casual",
        product_display_name=f"Camiseta número {number}, «azul»",
        image=image,
        image_sha256=hashlib.sha256(image).hexdigest(),
    )


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "data")


def test_products_come_back_equal_and_in_order(store: DirectoryStore) -> None:
    products = [product(n) for n in range(25)]
    shards = write_shards(store, "train/v1", products, rows_per_shard=10)
    assert [s.rows for s in shards] == [10, 10, 5]
    assert [s.key for s in shards] == [f"train/v1/part-0000{n}-{s.sha256[:12]}.parquet" for n, s in enumerate(shards)]
    assert list(read_shards(store, shards, batch=3)) == products


def test_no_products_make_no_shards(store: DirectoryStore) -> None:
    assert write_shards(store, "train/v1", []) == []
    assert list(store.list("")) == []


def test_the_same_products_make_the_same_bytes(store: DirectoryStore) -> None:
    products = [product(n) for n in range(7)]
    first, second = (write_shards(store, prefix, products) for prefix in ("a", "b"))
    assert [s.sha256 for s in first] == [s.sha256 for s in second]


def write_again(store: DirectoryStore, products: list[Product], known: list[Shard]) -> list[Shard]:
    with ShardWriter(store, "train/v2", PRODUCT_SCHEMA, rows_per_shard=10, known=known) as writer:
        for entry in products:
            writer.add(row_of(entry))
    return writer.shards


def test_a_shard_that_is_stored_already_is_named_and_not_stored_again(store: DirectoryStore) -> None:
    first = write_shards(store, "train/v1", [product(n) for n in range(25)], rows_per_shard=10)
    second = write_again(store, [product(n) for n in range(26)], first)
    assert second[:2] == first[:2]
    assert list(store.list("train/v2/")) == [second[2].key]
    assert [p.id for p in read_shards(store, second)] == list(range(26))


def test_a_shard_that_is_damaged_or_gone_is_stored_anew(store: DirectoryStore) -> None:
    products = [product(n) for n in range(20)]
    first = write_shards(store, "train/v1", products, rows_per_shard=10)
    store.put(first[0].key, b"bit rot")
    store.delete(first[1].key)
    assert list(read_shards(store, write_again(store, products, first))) == products


def test_large_pictures_cut_row_groups_by_bytes_too(store: DirectoryStore) -> None:
    products = [product(n, image_bytes=3 * 2**20) for n in range(5)]
    assert list(read_shards(store, write_shards(store, "x", products))) == products


def test_a_flipped_byte_is_noticed_before_any_product_is_yielded(store: DirectoryStore) -> None:
    shards = write_shards(store, "train/v1", [product(1)])
    data = bytearray(store.get(shards[0].key))
    data[len(data) // 2] ^= 1
    store.put(shards[0].key, bytes(data))
    with pytest.raises(ShardDamaged, match=r"part-00000-\w+.parquet in data has SHA-256"):
        next(read_shards(store, shards))


def test_a_missing_shard_is_named(store: DirectoryStore) -> None:
    with pytest.raises(ObjectMissing, match=r"gone\.parquet"):
        next(read_shards(store, [Shard("gone.parquet", 1, "")]))


def test_nothing_is_stored_of_a_shard_that_fails_halfway(store: DirectoryStore) -> None:
    def broken() -> Iterator[Product]:
        yield product(1)
        raise RuntimeError("source broke")

    with pytest.raises(RuntimeError, match="source broke"):
        write_shards(store, "train/v1", broken())
    assert list(store.list("")) == []


def test_some_columns_can_be_read_without_the_pictures(store: DirectoryStore) -> None:
    shards = write_shards(store, "train/v1", [product(1), product(2)])
    assert list(read_rows(store, shards, columns=["id", "year"])) == [{"id": 1, "year": 2012}, {"id": 2, "year": 2012}]
