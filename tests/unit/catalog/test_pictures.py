"""Single pictures out of shards: the right one, fetched once, bounded on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from catalog.errors import KeyInvalid, ObjectMissing, ShardDamaged
from catalog.objects import DirectoryStore
from catalog.pictures import ShardPictures
from catalog.product import Product
from catalog.shards import write_shards


class CountingStore(DirectoryStore):
    """Counts its downloads."""

    downloads = 0

    def download(self, key: str, path: Path) -> None:
        self.downloads += 1
        super().download(key, path)


def product(number: int) -> Product:
    image = f"picture {number}".encode() * 50
    return Product(
        number, f"{number}.jpg", None, None, None, None, None, None, None, None, f"Product {number}", image,
        hashlib.sha256(image).hexdigest(),
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    store = CountingStore(tmp_path / "data")
    for number, shard in enumerate(write_shards(store, "made", map(product, range(700)), rows_per_shard=300)):
        store.put(f"train/v1/part-{number:05d}.parquet", store.get(shard.key))
    return store


def address(shard: int, number: int) -> str:
    return f"s3://data/train/v1/part-{shard:05d}.parquet#{number}"


def test_each_picture_is_that_of_its_product_and_each_shard_is_fetched_once(
    store: CountingStore, tmp_path: Path
) -> None:
    pictures = ShardPictures(lambda: store, tmp_path / "kept")
    for number in (0, 255, 256, 299, 300, 599, 600, 699, 1):
        assert pictures.picture(address(number // 300, number)) == product(number).image
    assert store.downloads == 3


def test_the_shards_kept_on_disk_are_bounded(store: CountingStore, tmp_path: Path) -> None:
    pictures = ShardPictures(lambda: store, tmp_path / "kept", max_bytes=1)
    for number in (0, 300, 600, 0):
        assert pictures.picture(address(number // 300, number)) == product(number).image
        assert len(list((tmp_path / "kept").iterdir())) == 1
    assert store.downloads == 4


def test_what_is_not_there_is_missing(store: CountingStore, tmp_path: Path) -> None:
    pictures = ShardPictures(lambda: store, tmp_path / "kept")
    for missing in (address(0, 300), address(9, 1)):
        with pytest.raises(ObjectMissing):
            pictures.picture(missing)


@pytest.mark.parametrize("path", ["", "s3://data/x", "/etc/passwd#1", "s3://data/x#y", "s3://data/../../etc/passwd#1", "s3://client-a/own/a/1.jpg",
                                  "s3://data/own/../train/v1/part-00000.parquet"])  # fmt: skip
def test_an_address_that_is_none_opens_nothing(store: CountingStore, tmp_path: Path, path: str) -> None:
    with pytest.raises(KeyInvalid):
        ShardPictures(lambda: store, tmp_path / "kept").picture(path)


def test_a_picture_of_its_own_is_read_each_time_and_not_kept(store: CountingStore, tmp_path: Path) -> None:
    pictures = ShardPictures(lambda: store, tmp_path / "kept")
    store.put("own/aurora/1.jpg", b"picture")
    assert pictures.picture("s3://data/own/aurora/1.jpg") == b"picture"
    store.delete("own/aurora/1.jpg")
    with pytest.raises(ObjectMissing):
        pictures.picture("s3://data/own/aurora/1.jpg")


def test_a_damaged_shard_is_said(store: CountingStore, tmp_path: Path) -> None:
    store.put("train/v1/part-00000.parquet", b"PAR1 and then nothing")
    with pytest.raises(ShardDamaged):
        ShardPictures(lambda: store, tmp_path / "kept").picture(address(0, 1))
