"""What clients publish of their own: whose rows it writes, and that no version goes which alone holds some of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from catalog.errors import OfferInvalid, VectorsInvalid
from catalog.filters import ProductFilter
from catalog.index import IndexStore
from catalog.publications import Held, Publications
from catalog.published import Offer
from catalog.store import FIRST_OWN_ID, CatalogueStore
from tests.integration.catalog.indexes import VECTORS, build, publish, unit_vectors

pytestmark = pytest.mark.integration


def offers(*references: int, title: str = "Own Men Blue Shirt") -> list[Offer]:
    return [
        Offer(n, "jpg", "Men", "Apparel", "Topwear", "Shirts", "Blue", "Summer", "Casual", 2020, title, f"{n:064x}")
        for n in references
    ]


def vectors(count: int, *, seed: int = 9) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return unit_vectors(count, seed=seed)


@pytest.fixture
def publications(dsn: str) -> Iterator[Publications]:
    with Publications(dsn) as found:
        yield found


@pytest.fixture
def rows(dsn: str) -> Iterator[CatalogueStore]:
    with CatalogueStore(dsn) as found:
        yield found


def test_a_published_product_is_found_at_once_and_is_its_clients(
    index: IndexStore, publications: Publications, rows: CatalogueStore
) -> None:
    live = publish(index)
    theirs = vectors(3)
    written = publications.put_page("aurora", live, offers(5, 6, 7), theirs)
    assert (written.written, written.shown_already, written.references) == (3, 0, (5, 6, 7))
    hit = index.search(theirs[1], 1).hits[0]
    row = rows.file(hit.product_id)
    assert row is not None
    assert row.id >= FIRST_OWN_ID
    assert (row.owner, row.origin, row.brand) == ("aurora", "published", "Own")
    assert row.s3_path == f"s3://client-aurora/published/6-{6:064x}".replace(f"{6:064x}", f"{6:064x}"[:16]) + ".jpg"
    assert index.search(theirs[1], 5, filters=ProductFilter(owner=("aurora",))).passing >= 3
    live_now = index.live()
    assert live_now is not None
    assert live_now.products == len(VECTORS) + 3


def test_what_is_published_again_is_replaced_and_keeps_its_number(
    index: IndexStore, publications: Publications, rows: CatalogueStore
) -> None:
    live = publish(index)
    publications.put_page("aurora", live, offers(5), vectors(1))
    before = index.search(vectors(1)[0], 1).hits[0].product_id
    moved = vectors(1, seed=10)
    publications.put_page("aurora", live, offers(5), moved)
    assert index.search(vectors(1)[0], 1).hits[0].score > 0.99, "the same picture has the same vector"
    pictured = [replace(offers(5, title="Own Men Red Shirt")[0], image_sha256="f" * 64)]
    publications.put_page("aurora", live, pictured, moved)
    hit = index.search(moved[0], 1).hits[0]
    assert hit.product_id == before
    assert hit.score > 0.99
    found = rows.file(before)
    assert found is not None
    assert found.product_display_name == "Own Men Red Shirt"


def test_no_client_can_overwrite_another_s_product_or_the_catalogue_s(
    index: IndexStore, publications: Publications, rows: CatalogueStore
) -> None:
    live = publish(index)
    publications.put_page("aurora", live, offers(5), vectors(1))
    publications.put_page("boreal", live, offers(5, title="Mine Now"), vectors(1, seed=11))
    publications.put_page("boreal", live, offers(FIRST_OWN_ID, title="Mine Too"), vectors(1, seed=12))
    titles = {file.id: file.product_display_name for file in rows.all_files(1000)}
    assert titles[5] == "Product 5"
    assert sorted(title for number, title in titles.items() if number >= FIRST_OWN_ID) == [
        "Mine Now", "Mine Too", "Own Men Blue Shirt",
    ]  # fmt: skip


def test_a_picture_that_the_catalogue_shows_for_the_client_is_not_shown_twice(
    index: IndexStore, publications: Publications, dsn: str
) -> None:
    live = publish(index)
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE fashion_files SET owner = 'aurora', image_sha256 = %s WHERE id = 3", (f"{5:064x}",))
    written = publications.put_page("aurora", live, offers(5, 6), vectors(2))
    assert (written.written, written.shown_already, written.references) == (1, 1, (6,))
    # Another client's product of the same picture is another product.
    assert publications.put_page("boreal", live, offers(5), vectors(1)).written == 1


@pytest.mark.parametrize("bad", ["nan", "length", "dimension", "count"])
def test_a_page_with_one_bad_vector_writes_nothing(index: IndexStore, publications: Publications, bad: str) -> None:
    live = publish(index)
    theirs = vectors(2)
    if bad == "nan":
        theirs[1, 0] = np.nan
    elif bad == "length":
        theirs[1] *= 3
    theirs = theirs[:, :-1] if bad == "dimension" else theirs[:1] if bad == "count" else theirs
    with pytest.raises((VectorsInvalid, OfferInvalid)):
        publications.put_page("aurora", live, offers(5, 6), theirs)
    assert publications.coverage(live) == []


def test_one_product_twice_in_a_page_is_refused(index: IndexStore, publications: Publications) -> None:
    live = publish(index)
    with pytest.raises(OfferInvalid):
        publications.put_page("aurora", live, offers(5, 5), vectors(2))


def test_what_is_published_no_more_leaves_every_version(
    index: IndexStore, publications: Publications, rows: CatalogueStore
) -> None:
    live = publish(index)
    publications.put_page("aurora", live, offers(5, 6, 7), vectors(3))
    publications.put_page("boreal", live, offers(5), vectors(1, seed=13))
    assert publications.keep_only("aurora", [6]) == 2
    assert [(c.owner, c.published, c.covered) for c in publications.coverage(live)] == [
        ("aurora", 1, 1), ("boreal", 1, 1),
    ]  # fmt: skip
    assert publications.keep_only("aurora", []) == 1
    assert {file.owner for file in rows.all_files(1000) if file.origin == "published"} == {"boreal"}


def test_a_version_that_alone_holds_a_client_s_products_is_not_dropped(
    index: IndexStore, publications: Publications
) -> None:
    old = publish(index)
    publications.put_page("aurora", old, offers(5, 6), vectors(2))
    publications.put_page("boreal", old, offers(5), vectors(1))
    new = build(index, model_version="2")
    publications.put_page("boreal", new, offers(5), vectors(1, seed=20))
    index.verify(new, unit_vectors(5, seed=2))
    index.swap(new)
    assert [(c.owner, c.share) for c in publications.coverage(new)] == [("aurora", 0.0), ("boreal", 1.0)]
    assert publications.held() == [Held(new, "boreal", 1), Held(old, "aurora", 2)]
    assert index.drop_retired(keep=0) == []
    assert index.drop_outdated(datetime.now(UTC) + timedelta(days=1)) == []
    # Others come and go meanwhile; the one that is needed stays.
    newer = publish(index, model_version="3")
    assert index.drop_retired(keep=0) == []
    publications.put_page("boreal", newer, offers(5), vectors(1, seed=21))
    assert index.drop_retired(keep=0) == [new]
    publications.put_page("aurora", newer, offers(5, 6), vectors(2, seed=22))
    assert index.drop_retired(keep=0) == [old]
    assert publications.held() == [Held(newer, "aurora", 2), Held(newer, "boreal", 1)]
