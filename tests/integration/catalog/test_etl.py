"""The whole way of a catalogue, on a real S3 server and a real PostgreSQL."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from catalog import etl
from catalog.errors import (
    CatalogError,
    CatalogueEmpty,
    CatalogueMissing,
    DatabaseUnreachable,
    EmptyPartition,
    ManifestInvalid,
    ObjectMissing,
    PartitionInvalid,
    StorageRefused,
    StorageUnreachable,
    VersionInvalid,
)
from catalog.etl.raw import raw_shards
from catalog.manifest import LIVE_KEY, client_manifest, holdout_owners, live_manifest, manifest_of, version_of_run
from catalog.objects import ObjectStore, S3ObjectStore
from catalog.shards import read_shards
from catalog.sources import open_source
from catalog.splits import name_key
from catalog.store import CatalogueStore
from core.settings import ClientBucket

pytestmark = pytest.mark.integration

NewBucket = Callable[[], S3ObjectStore]
NAMES = ("aurora", "boreal", "cobre")


@pytest.fixture
def store(new_bucket: NewBucket) -> S3ObjectStore:
    return new_bucket()


@pytest.fixture
def clients(new_bucket: NewBucket) -> dict[str, ObjectStore]:
    return {name: new_bucket() for name in NAMES}


@pytest.fixture
def catalogue(dsn: str) -> Iterator[CatalogueStore]:
    with CatalogueStore(dsn) as catalogue:
        yield catalogue


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 drawn products as a folder in Kaggle's layout, five of them broken."""
    root = tmp_path_factory.mktemp("drawn") / "shop"
    (root / "images").mkdir(parents=True)
    with (root / "styles.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "gender", "articleType", "subCategory", "year", "productDisplayName"])
        for row in open_source("synthetic", limit=100):
            image = row.image or b""
            damage = {"1001": image[:500], "1011": b"", "1021": b"<html>"}
            if row.id != "1031":
                (root / "images" / f"{row.id}.jpg").write_bytes(damage.get(row.id or "", image))
            name = "" if row.id == "1041" else row.product_display_name
            writer.writerow([row.id, row.gender, row.article_type, row.sub_category, f"{row.year}.0", name])
    return root


def test_a_catalogue_goes_live_whole(
    drawn: Path, store: S3ObjectStore, clients: dict[str, ObjectStore], catalogue: CatalogueStore
) -> None:
    summary = etl.load(f"dir:{drawn}", store=store, catalogue=catalogue, clients=clients)
    assert (summary["read"], summary["kept"], summary["rejected"]) == (100, 95, 5)
    assert summary["reject_reasons"] == {
        "image_missing": 2, "image_truncated": 1, "image_unreadable": 1, "name_missing": 1,
    }  # fmt: skip
    assert summary["reject_examples"][0]["row"] == 1
    assert sum(summary["split"].values()) == 95

    manifest = live_manifest(store)
    products = {split: list(read_shards(store, shards)) for split, shards in manifest.splits.items()}
    names = {split: {name_key(p.product_display_name) for p in held} for split, held in products.items()}
    assert not names["train"] & names["val"]
    assert not names["train"] & names["test"]
    assert not names["val"] & names["test"]

    held = {name: list(read_shards(bucket, client_manifest(bucket).shards)) for name, bucket in clients.items()}
    by_id = {p.id: p for p in products["train"]}
    assert sorted(p.id for partition in held.values() for p in partition) == sorted(by_id)
    assert all(by_id[p.id] == p for partition in held.values() for p in partition)
    assert summary["clients"] == [
        {"name": name, "products": len(held[name]), "bucket": clients[name].name} for name in NAMES
    ]

    for split in ("val", "test"):
        owners = holdout_owners(store, manifest, split)
        assert len(owners) == len(products[split])
        assert set(owners) <= set(NAMES)
    rows = {row.id: row for row in catalogue.all_files(1000)}
    assert len(rows) == 95
    for split, members in products.items():
        for product in members:
            row = rows[product.id]
            assert (row.split, row.image_sha256, row.year) == (split, product.image_sha256, product.year)
            assert row.product_display_name == product.product_display_name
            assert row.s3_path.startswith(f"s3://{store.name}/{split}/{summary['version']}/part-")
            assert row.dataset == "shop"
            owner = next((name for name in NAMES if product in held[name]), None)
            assert row.owner == owner


def test_each_step_can_be_repeated_and_none_before_publish_is_live(
    drawn: Path, store: S3ObjectStore, clients: dict[str, ObjectStore], catalogue: CatalogueStore
) -> None:
    version = version_of_run("manual__2025-01-01T00:00:00+00:00")
    for _ in range(2):
        obtained = etl.obtain(version, spec=f"dir:{drawn}", store=store, limit=60, seed=3)
        assert obtained["read"] == 60
    first = etl.clean_and_split(version, store=store)
    before = manifest_of(store, version)
    assert etl.clean_and_split(version, store=store) == first
    parts = [etl.partition(version, spec="dirichlet(1, sub_category)", clients=clients, store=store) for _ in range(2)]
    assert parts[0] == parts[1]
    with pytest.raises(CatalogueMissing):
        live_manifest(store)
    assert catalogue.all_files(10) == []
    published = [etl.publish(version, store=store, catalogue=catalogue) for _ in range(2)]
    assert published[0] == published[1] == parts[0]
    assert live_manifest(store).splits == before.splits
    assert catalogue.stats().products == first["kept"]
    with pytest.raises(VersionInvalid, match="limit 60"):
        etl.obtain(version, spec=f"dir:{drawn}", store=store, limit=61, seed=3)


def test_steps_out_of_order_are_said(store: S3ObjectStore, clients: dict[str, ObjectStore]) -> None:
    with pytest.raises(CatalogueMissing, match="obtain"):
        etl.clean_and_split("v1", store=store)
    with pytest.raises(CatalogueMissing, match="cleaning"):
        etl.partition("v1", spec="iid", clients=clients, store=store)


@pytest.fixture
def live(drawn: Path, store: S3ObjectStore, clients: dict[str, ObjectStore], catalogue: CatalogueStore) -> str:
    """A version that is live, which what fails later must not touch."""
    version = etl.load(f"dir:{drawn}", store=store, catalogue=catalogue, clients=clients, limit=50)["version"]
    return str(version)


def assert_untouched(live: str, store: ObjectStore, clients: dict[str, ObjectStore], catalogue: CatalogueStore) -> None:
    manifest = live_manifest(store)
    assert manifest.version == live
    assert sum(1 for _ in read_shards(store, manifest.shards)) == manifest.kept == catalogue.stats().products
    for bucket in clients.values():
        assert client_manifest(bucket).version == live
        assert sum(1 for _ in read_shards(bucket, client_manifest(bucket).shards)) > 0


def test_what_cannot_be_loaded_leaves_the_live_catalogue_alone(
    tmp_path: Path, drawn: Path, live: str, store: S3ObjectStore, clients: dict[str, ObjectStore],
    catalogue: CatalogueStore,
) -> None:  # fmt: skip
    hollow = tmp_path / "hollow"
    (hollow / "images").mkdir(parents=True)
    (hollow / "styles.csv").write_text("id,articleType,productDisplayName\n")
    pictureless = tmp_path / "pictureless"
    (pictureless / "images").mkdir(parents=True)
    (pictureless / "styles.csv").write_text((drawn / "styles.csv").read_text())
    many: dict[str, ObjectStore] = {f"client-{n}": store for n in range(90)}
    attempts: list[tuple[type[CatalogError], str, str, dict[str, ObjectStore]]] = [
        (CatalogueEmpty, f"dir:{hollow}", "iid", clients),
        (CatalogueEmpty, f"dir:{pictureless}", "iid", clients),
        (PartitionInvalid, f"dir:{drawn}", "even", clients),
        (PartitionInvalid, f"dir:{drawn}", "iid", {}),
        (EmptyPartition, f"dir:{drawn}", "iid", many),
    ]
    for error, spec, partition, holders in attempts:
        with pytest.raises(error):
            etl.load(spec, store=store, catalogue=catalogue, clients=holders, partition_spec=partition)
        assert_untouched(live, store, clients, catalogue)


def test_too_few_products_say_what_was_rejected(drawn: Path, store: S3ObjectStore) -> None:
    etl.obtain("v1", spec="synthetic", limit=3, store=store)
    with pytest.raises(CatalogueEmpty, match=r"3 products are too few: val, test would be empty\. All 3 products kept"):
        etl.clean_and_split("v1", store=store)


def test_a_bucket_that_does_not_answer_moves_no_client(
    drawn: Path, live: str, store: S3ObjectStore, clients: dict[str, ObjectStore], catalogue: CatalogueStore
) -> None:
    dead = ClientBucket(
        name="cobre", endpoint="http://127.0.0.1:9", access_key="k", secret_key="s", bucket="client-cobre"
    )
    mixed = {**clients, **etl.client_stores([dead])}
    with pytest.raises(StorageUnreachable, match="client-cobre"):
        etl.load(f"dir:{drawn}", store=store, catalogue=catalogue, clients=mixed)
    assert_untouched(live, store, clients, catalogue)


class RefusesTheLiveManifest(S3ObjectStore):
    """A bucket whose last write fails."""

    def put(self, key: str, data: bytes) -> None:
        if key == LIVE_KEY:
            raise StorageRefused("The disk is full.")
        super().put(key, data)


def test_rows_and_manifest_change_together_or_not_at_all(
    drawn: Path, live: str, store: S3ObjectStore, clients: dict[str, ObjectStore], catalogue: CatalogueStore
) -> None:
    rows = catalogue.all_files(1000)
    etl.obtain("v2", spec=f"dir:{drawn}", store=store)
    etl.clean_and_split("v2", store=store)
    with pytest.raises(StorageRefused):
        etl.publish("v2", store=RefusesTheLiveManifest(store.bucket), catalogue=catalogue)
    assert catalogue.all_files(1000) == rows
    with CatalogueStore("postgresql://nobody@127.0.0.1:9/x") as unreachable, pytest.raises(DatabaseUnreachable):
        etl.publish("v2", store=store, catalogue=unreachable)
    assert_untouched(live, store, clients, catalogue)


def keys_of(store: ObjectStore, version: str) -> set[str]:
    """All objects that make up a version."""
    shards = (*manifest_of(store, version).all_shards, *raw_shards(store, version))
    return {f"manifests/{version}.json", f"raw/{version}/manifest.json", *(shard.key for shard in shards)}


def test_only_the_live_version_and_the_one_before_are_kept(
    store: S3ObjectStore, clients: dict[str, ObjectStore], catalogue: CatalogueStore
) -> None:
    for number, version in enumerate(("v1", "v2", "v3", "v4")):
        etl.load("synthetic", store=store, catalogue=catalogue, clients=clients, limit=40 + number, version=version)
    kept = keys_of(store, "v3") | keys_of(store, "v4") | {LIVE_KEY}
    assert set(store.list("")) == kept
    with pytest.raises(CatalogueMissing):
        manifest_of(store, "v2")
    bucket = clients["aurora"]
    held = {shard.key for shard in client_manifest(bucket).shards}
    assert held <= set(bucket.list("partitions/"))
    assert {key.split("/")[1] for key in set(bucket.list("partitions/")) - held} <= {"v3", "v4"}


def test_the_same_source_stores_nothing_again_and_makes_the_same_catalogue(
    store: S3ObjectStore, clients: dict[str, ObjectStore], catalogue: CatalogueStore
) -> None:
    first, *_, last = (
        etl.load("synthetic", store=store, catalogue=catalogue, clients=clients, limit=40, version=f"v{number}")
        for number in range(1, 5)
    )
    assert first["reused"] == 0
    assert last["reused"] == last["shards"] > 0
    assert last["content_sha256"] == first["content_sha256"]
    # Two versions later the first one is gone, but not what the live one still names.
    assert sum(1 for _ in read_shards(store, live_manifest(store).shards)) == catalogue.stats().products
    for bucket in clients.values():
        held = client_manifest(bucket)
        assert held.version == "v4"
        assert sum(1 for _ in read_shards(bucket, held.shards)) == held.products
    filled = etl.fill("v4", clients=clients, store=store)
    assert [entry["reused"] for entry in filled] == [entry["shards"] for entry in filled]


def test_clients_are_filled_one_by_one_and_handed_over_together(
    store: S3ObjectStore, clients: dict[str, ObjectStore]
) -> None:
    etl.obtain("v1", spec="synthetic", store=store, limit=40)
    etl.clean_and_split("v1", store=store)
    with pytest.raises(PartitionInvalid, match="Nobody holds version v1"):
        etl.fill("v1", clients=clients, store=store)
    etl.assign("v1", spec="iid", clients=clients, store=store)
    for name in ("aurora", "boreal"):
        etl.fill("v1", clients={name: clients[name]}, store=store)
    with pytest.raises(CatalogueMissing, match="cobre"):
        etl.hand_over("v1", clients=clients, store=store)
    with pytest.raises(CatalogueMissing):
        client_manifest(clients["aurora"])
    etl.fill("v1", clients={"cobre": clients["cobre"]}, store=store)
    handed = [etl.hand_over("v1", clients=clients, store=store) for _ in range(2)]
    assert handed[0] == handed[1]
    assert {name: client_manifest(bucket).products for name, bucket in clients.items()} == {
        client["name"]: client["products"] for client in handed[0]["clients"]
    }
    with pytest.raises(PartitionInvalid, match="delta"):
        etl.fill("v1", clients={"delta": clients["aurora"]}, store=store)


def test_publishing_again_changes_nothing(
    store: S3ObjectStore, clients: dict[str, ObjectStore], catalogue: CatalogueStore
) -> None:
    for version, limit in (("v1", 40), ("v2", 50)):
        etl.load("synthetic", store=store, catalogue=catalogue, clients=clients, limit=limit, version=version)
    before = (catalogue.all_files(1000), set(store.list("")), store.get(LIVE_KEY))
    etl.publish("v2", store=store, catalogue=catalogue)
    assert (catalogue.all_files(1000), set(store.list("")), store.get(LIVE_KEY)) == before


def test_owners_that_do_not_fit_are_noticed(
    store: S3ObjectStore, clients: dict[str, ObjectStore], catalogue: CatalogueStore
) -> None:
    etl.obtain("v1", spec="synthetic", store=store, limit=40)
    etl.clean_and_split("v1", store=store)
    etl.partition("v1", spec="iid", clients=clients, store=store)
    manifest = manifest_of(store, "v1")
    wrong = replace(manifest, splits={**manifest.splits, "train": manifest.splits["val"]})
    store.put("manifests/v1.json", wrong.to_json())
    with pytest.raises(ManifestInvalid, match="does not fit"):
        etl.publish("v1", store=store, catalogue=catalogue)


def test_s3_objects_behave_like_local_ones(store: S3ObjectStore, big_file: Path, tmp_path: Path) -> None:
    store.ensure_bucket()
    store.upload(big_file, "big/file")
    store.download("big/file", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == big_file.read_bytes()
    store.put("small", b"1")
    assert list(store.list("")) == ["big/file", "small"]
    assert store.get("small") == b"1"
    assert store.exists("small")
    store.delete("small")
    store.delete("small")
    assert not store.exists("small")
    with pytest.raises(ObjectMissing, match="small does not exist in bucket"):
        store.get("small")
    with pytest.raises(ObjectMissing):
        store.download("small", tmp_path / "down")


def test_wrong_keys_are_refused(store: S3ObjectStore) -> None:
    wrong = store.bucket.model_copy(update={"secret_key": SecretStr("wrong")})
    with pytest.raises(StorageRefused, match="refused x"):
        S3ObjectStore(wrong).get("x")
    with pytest.raises(StorageRefused, match="refused x"):
        S3ObjectStore(wrong).put("x", b"")
    with pytest.raises(StorageRefused, match="refused to be made"):
        S3ObjectStore(wrong).ensure_bucket()
