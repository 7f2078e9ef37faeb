"""Curators' products on a real PostgreSQL: row and vector together, each client's for itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from catalog.errors import DatabaseRefused, IndexVersionMissing, StorageUnreachable, VectorsInvalid
from catalog.filters import ProductFilter
from catalog.index import IndexStore
from catalog.own_products import Embedded, OwnProducts
from catalog.store import FIRST_OWN_ID, CatalogueStore, FashionFile
from tests.integration.catalog.indexes import QUERIES, VECTORS, build, publish, unit_vectors

pytestmark = pytest.mark.integration

OWN = unit_vectors(400, seed=7)


def product(number: int, *, client: str = "aurora", colour: str = "Teal") -> FashionFile:
    return FashionFile(
        id=0, filename=f"{number}.jpg", s3_path=f"s3://data/own/{client}/{number}.jpg", gender="Women",
        master_category="Apparel", sub_category="Topwear", article_type="Tops", base_colour=colour, season=None,
        year=2026, usage=None, product_display_name=f"Own {number}", dataset="curator", owner=client, split=None,
        image_sha256=f"hash {number}", created_at=datetime(2000, 1, 1, tzinfo=UTC), origin="curator",
        reference=f"ref {number}",
    )  # fmt: skip


def nothing() -> None:
    """A picture that is kept already."""


@pytest.fixture
def own(api_dsn: str) -> Iterator[OwnProducts]:
    with CatalogueStore(api_dsn) as store:
        yield OwnProducts(store._database)


def put(own: OwnProducts, number: int, version: int, **values: str) -> FashionFile:
    written = own.put(product(number, **values), Embedded(version, OWN[number]), nothing)
    assert written.is_searchable
    return written.row


def live_products(index: IndexStore) -> int | None:
    live = index.live()
    assert live is not None
    return live.products


def test_a_written_product_is_found_at_once_by_its_vector_and_its_attributes(
    own: OwnProducts, index: IndexStore
) -> None:
    version = publish(index)
    row = put(own, 1, version)
    assert row.id >= FIRST_OWN_ID
    assert row.split is None
    assert row.created_at.year > 2000
    hit = index.search(OWN[1], 1).hits[0]
    assert (hit.product_id, round(hit.score, 2)) == (row.id, 1.0)
    (only,) = index.search(QUERIES[0], 10, filters=ProductFilter(base_colour="Teal")).hits
    assert only.product_id == row.id
    assert live_products(index) == len(VECTORS) + 1


def test_a_graph_takes_products_that_are_written_while_it_answers(
    own: OwnProducts, index: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.index.router.EXACT_PRODUCTS", 50)
    monkeypatch.setattr("catalog.index.router.COMPARED_PER_EF", 0)
    version = publish(index)
    rows = [put(own, number, version) for number in range(100)]
    found = [index.search(OWN[number], 1) for number in range(100)]
    assert {answer.route for answer in found} == {"graph"}
    assert [answer.hits[0].product_id for answer in found] == [row.id for row in rows]


def test_writing_again_keeps_the_id_and_counts_once(own: OwnProducts, index: IndexStore) -> None:
    version = publish(index)
    first = put(own, 1, version)
    changed = own.put(
        replace(product(1), base_colour="Red", image_sha256="another"), Embedded(version, OWN[2]), nothing
    )
    assert (changed.row.id, changed.row.base_colour) == (first.id, "Red")
    assert changed.row.created_at == first.created_at
    assert index.search(OWN[2], 1).hits[0].product_id == first.id
    assert live_products(index) == len(VECTORS) + 1


def test_other_values_change_filters_and_counts_in_the_same_moment(
    own: OwnProducts, index: IndexStore, dsn: str
) -> None:
    row = put(own, 1, publish(index))
    changed = own.change("aurora", row.id, {"base_colour": "Ochre", "year": None})
    assert changed
    assert (changed.row.base_colour, changed.row.year, changed.row.gender) == ("Ochre", None, "Women")
    (only,) = index.search(QUERIES[0], 10, filters=ProductFilter(base_colour="Ochre")).hits
    assert only.product_id == row.id
    assert index.search(QUERIES[0], 10, filters=ProductFilter(base_colour="Teal")).hits == []
    with CatalogueStore(dsn) as store:
        values = {value.value: value.products for value in store.facets()["base_colour"]}
    assert values["Ochre"] == 1
    assert "Teal" not in values


def test_another_picture_is_found_by_itself_and_the_old_one_no_more(own: OwnProducts, index: IndexStore) -> None:
    version = publish(index)
    row = put(own, 1, version)
    image = {"image_sha256": "new", "s3_path": "s3://data/own/aurora/new.jpg", "filename": "new.jpg"}
    changed = own.change("aurora", row.id, image, embedded=Embedded(version, OWN[3]))
    assert changed
    assert changed.is_searchable
    assert index.search(OWN[3], 1).hits[0].product_id == row.id
    assert index.search(OWN[1], 1).hits[0].score < 0.9


def test_a_client_neither_sees_nor_touches_the_products_of_another(own: OwnProducts, index: IndexStore) -> None:
    version = publish(index)
    theirs = put(own, 1, version, client="boreal")
    mine = put(own, 1, version, client="aurora")
    assert theirs.id != mine.id
    assert own.of_references("aurora", ["ref 1"]) == [mine]
    assert own.of_id("aurora", theirs.id) is None
    assert own.change("aurora", theirs.id, {"base_colour": "Red"}) is None
    assert own.remove("aurora", theirs.id) is None
    assert own.of_id("boreal", theirs.id) == theirs


def test_products_of_the_catalogue_are_nobodys_own(own: OwnProducts, index: IndexStore) -> None:
    publish(index)
    assert own.of_id("aurora", 1) is None
    assert own.remove("aurora", 1) is None


def test_a_deleted_product_leaves_every_version(own: OwnProducts, index: IndexStore) -> None:
    old = publish(index)
    row = put(own, 1, old)
    new = publish(index, model_version="2")
    assert own.embed(row, Embedded(new, OWN[1]))
    assert own.remove("aurora", row.id) == row
    assert live_products(index) == len(VECTORS)
    for version in (old, new):
        assert row.id not in {hit.product_id for hit in index.search(OWN[1], 1000, version=version).hits}
    # The retired one counts again when it is followed, as it is once it is live.
    own.follow(old)
    assert {version.id: version.products for version in index.versions()} == {old: len(VECTORS), new: len(VECTORS)}


def test_deleting_while_graphs_are_built_keeps_nobody_from_writing(
    own: OwnProducts, index: IndexStore, dsn: str
) -> None:
    version = publish(index)
    row = put(own, 1, version)
    building = index.begin("fashion-clip", "2", "v1", VECTORS.shape[1])
    with psycopg.connect(dsn) as builder, ThreadPoolExecutor(1) as pool:
        # As CREATE INDEX does.
        builder.execute(f"LOCK TABLE product_vectors_{building} IN SHARE MODE")
        deleting = pool.submit(own.remove, "aurora", row.id)
        while index.search(OWN[1], 1).hits[0].product_id == row.id:
            time.sleep(0.01)
        later = put(own, 2, version)
        assert index.search(OWN[2], 1).hits[0].product_id == later.id
        assert not deleting.done()
        builder.rollback()
        assert deleting.result(5) == row
    assert live_products(index) == len(VECTORS) + 1


def test_nothing_is_written_when_the_picture_cannot_be_kept(own: OwnProducts, index: IndexStore) -> None:
    version = publish(index)

    def away() -> None:
        raise StorageUnreachable("The bucket did not answer.")

    with pytest.raises(StorageUnreachable):
        own.put(product(1), Embedded(version, OWN[1]), away)
    assert own.of_references("aurora", ["ref 1"]) == []
    assert live_products(index) == len(VECTORS)


def test_nothing_is_written_when_the_vector_does_not_fit(own: OwnProducts, index: IndexStore) -> None:
    version = publish(index)
    with pytest.raises(VectorsInvalid):
        own.put(product(1), Embedded(version, OWN[1] * 2), nothing)
    assert own.of_references("aurora", ["ref 1"]) == []


def test_a_picture_that_another_product_shows_is_kept(own: OwnProducts, index: IndexStore) -> None:
    version = publish(index)
    first = put(own, 1, version)
    second = own.put(
        replace(product(2), s3_path=first.s3_path, image_sha256=first.image_sha256), Embedded(version, OWN[1]), nothing
    ).row
    gone: list[str] = []
    own.remove("aurora", first.id)
    own.forget("aurora", first.s3_path, lambda: gone.append("first"))
    own.remove("aurora", second.id)
    own.forget("aurora", second.s3_path, lambda: gone.append("second"))
    assert gone == ["second"]


def test_what_was_written_while_an_index_was_built_is_behind_in_it_until_it_is_embedded(
    own: OwnProducts, index: IndexStore
) -> None:
    old = publish(index)
    early = put(own, 1, old)
    new = build(index, model_version="2")
    late = put(own, 2, old)
    index.verify(new, QUERIES)
    index.swap(new)
    assert own.behind(new) == [early, late]
    assert own.behind(new, after=early.id) == [late]
    assert all(own.embed(row, Embedded(new, OWN[number])) for number, row in ((1, early), (2, late)))
    assert own.behind(new) == []
    assert index.search(OWN[2], 1).hits[0].product_id == late.id
    assert live_products(index) == len(VECTORS) + 2


def test_a_product_with_another_picture_than_was_embedded_is_behind(own: OwnProducts, index: IndexStore) -> None:
    old = publish(index)
    row = put(own, 1, old)
    new = publish(index, model_version="2")
    assert not own.embed(replace(row, image_sha256="of another moment"), Embedded(new, OWN[1]))
    assert own.behind(new) == [row]


def test_a_version_that_goes_live_again_follows_what_was_changed_meanwhile(own: OwnProducts, index: IndexStore) -> None:
    old = publish(index)
    row = put(own, 1, old)
    new = publish(index, model_version="2")
    own.embed(row, Embedded(new, OWN[1]))
    own.change("aurora", row.id, {"base_colour": "Ochre"})
    index.swap(old)
    own.follow(old)
    (only,) = index.search(QUERIES[0], 10, filters=ProductFilter(base_colour="Ochre")).hits
    assert only.product_id == row.id


def test_a_product_of_a_version_that_was_dropped_is_written_and_said_not_to_be_searchable(
    own: OwnProducts, index: IndexStore
) -> None:
    publish(index)
    written = own.put(product(1), Embedded(999, OWN[1]), nothing)
    assert not written.is_searchable
    with pytest.raises(IndexVersionMissing):
        own.behind(999)


def test_the_next_version_of_the_catalogue_leaves_curators_products_as_they_are(
    own: OwnProducts, index: IndexStore, dsn: str
) -> None:
    row = put(own, 1, publish(index))
    with CatalogueStore(dsn) as store:
        store.replace_products(store.files([1, 2]))
        assert [found.id for found in store.all_files(10)] == [1, 2, row.id]
        assert store.stats().products == 3
        assert store.stats().by_split == {"train": 2}
    assert index.search(OWN[1], 1).hits[0].product_id == row.id


def test_curators_may_write_at_the_same_time(own: OwnProducts, index: IndexStore) -> None:
    version = publish(index)

    def write(number: int) -> FashionFile:
        row = put(own, number, version, client=("aurora", "boreal")[number % 2])
        if number % 5 == 0:
            own.remove(row.owner or "", row.id)
        return row

    with ThreadPoolExecutor(6) as pool:
        rows = list(pool.map(write, range(60)))
    assert len({row.id for row in rows}) == 60
    assert live_products(index) == len(VECTORS) + 48


def test_only_one_catches_up_at_a_time(own: OwnProducts) -> None:
    with own.alone() as first, own.alone() as second:
        assert (first, second) == (True, False)
    with own.alone() as again:
        assert again


def test_a_user_is_a_curator_exactly_if_it_has_a_client(dsn: str) -> None:
    with CatalogueStore(dsn) as store:
        store.put_user("luz", "hash", ["curator"], client="aurora")
        assert [(user.username, user.client) for user in store.users()] == [("luz", "aurora")]
        for roles, client in ((["curator"], None), (["reader"], "aurora")):
            with pytest.raises(DatabaseRefused):
                store.put_user("sol", "hash", roles, client=client)


def test_a_curators_product_belongs_to_no_split(own: OwnProducts, index: IndexStore, dsn: str) -> None:
    row = put(own, 1, publish(index))
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE fashion_files SET split = 'train' WHERE id = %s", (row.id,))
