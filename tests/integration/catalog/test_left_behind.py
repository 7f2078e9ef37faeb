"""Products that the live version lacks are found beside it, on its scale, and never twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from catalog.database import Database
from catalog.filters import ProductFilter
from catalog.index import IndexStore, IndexVersion
from catalog.index.left_behind import Calibration, LeftBehind, Straggling, merged, put_calibration
from catalog.index.records import BEGINNING, Hit, Place
from catalog.publications import Publications
from server.calibrating import calibrate
from tests.integration.catalog.indexes import QUERIES, VECTORS, Vectors, build, publish, unit_vectors
from tests.integration.catalog.test_publications import offers

pytestmark = pytest.mark.integration


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    with Database(dsn) as found:
        yield found


def rotated(vectors: Vectors) -> Vectors:
    """Another space: the same likenesses, and no vector near its own former self."""
    turn, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(vectors.shape[1], vectors.shape[1])))
    return np.asarray(vectors @ turn, np.float32)


def squeezed(vectors: Vectors) -> Vectors:
    """Another space in which everything is more alike: cosines from 0.5 on."""
    longer = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)
    return np.asarray(longer / np.linalg.norm(longer, axis=1, keepdims=True), np.float32)


def left(index: IndexStore, dsn: str, *, new_space: Vectors) -> tuple[int, int, Vectors]:
    """Aurora has 20 products in the old version, boreal 5 in both; the live one is in another space."""
    theirs = unit_vectors(20, seed=30)
    with Publications(dsn) as publications:
        old = publish(index)
        publications.put_page("aurora", old, offers(*range(20)), theirs)
        publications.put_page("boreal", old, offers(*range(5)), unit_vectors(5, seed=31))
        new = build(index, new_space, model_version="2")
        publications.put_page("boreal", new, offers(*range(5)), unit_vectors(5, seed=32, dimension=new_space.shape[1]))
    index.verify(new, unit_vectors(5, seed=2, dimension=new_space.shape[1]))
    index.swap(new)
    return old, new, theirs


def test_what_the_live_version_lacks_is_known_at_the_swap_and_after_a_rollback(
    index: IndexStore, database: Database, dsn: str
) -> None:
    behind = LeftBehind(database)
    old, new, theirs = left(index, dsn, new_space=rotated(VECTORS))
    assert [(found.version.id, found.products) for found in behind.of(new)] == [(old, 20)]
    index.swap(old)
    assert behind.of(old) == []
    index.swap(new)
    assert [found.products for found in behind.of(new)] == [20]
    with Publications(dsn) as publications:
        publications.put_page("aurora", new, offers(*range(15)), theirs[:15])
        assert [found.products for found in behind.of(new)] == [5]
        publications.keep_only("aurora", range(16))
        assert [found.products for found in behind.of(new)] == [1]
        publications.put_page("aurora", new, offers(15), theirs[15:16])
    assert behind.of(new) == []


def test_they_are_found_in_their_own_space_under_every_filter(index: IndexStore, database: Database, dsn: str) -> None:
    behind = LeftBehind(database)
    _, new, theirs = left(index, dsn, new_space=rotated(VECTORS))
    (straggling,) = behind.of(new)
    expected = np.argsort(-(theirs.astype(np.float16).astype(float) @ QUERIES[0].astype(np.float16).astype(float)))
    hits = behind.search(straggling, QUERIES[0], 20, kind="text")
    with Publications(dsn):
        first = min(hit.product_id for hit in hits)
    assert [hit.product_id - first for hit in hits] == expected.tolist()
    assert behind.search(straggling, QUERIES[0], 5, kind="text", filters=ProductFilter(owner=("boreal",))) == []
    blue = ProductFilter(base_colour=("Blue",), owner=("aurora",))
    assert behind.search(straggling, QUERIES[0], 20, kind="text", filters=blue) == hits


def test_pages_go_on_behind_the_last_hit_or_without_what_was_shown(
    index: IndexStore, database: Database, dsn: str
) -> None:
    behind = LeftBehind(database)
    _, new, _ = left(index, dsn, new_space=rotated(VECTORS))
    (straggling,) = behind.of(new)
    whole = behind.search(straggling, QUERIES[0], 20, kind="image")
    walked, place = list[Hit](), BEGINNING
    while page := behind.search(straggling, QUERIES[0], 7, kind="image", after=place):
        walked += page
        place = Place(last=page[-1])
    assert walked == whole
    shown = Place(shown=tuple(hit.product_id for hit in whole[:6]))
    assert behind.search(straggling, QUERIES[0], 20, kind="image", after=shown) == whole[6:]


def test_calibrated_scores_rank_products_as_the_new_model_would(
    index: IndexStore, database: Database, dsn: str
) -> None:
    # Every cosine of the new space is above 0.5: as they are, old scores would all stand at the end.
    behind = LeftBehind(database)
    old, new, theirs = left(index, dsn, new_space=squeezed(VECTORS))
    versions = {version.id: version for version in index.versions()}
    titles = unit_vectors(100, seed=40)

    def encode(version: IndexVersion, _: Sequence[str]) -> Vectors:
        return titles if version.id == old else squeezed(titles)

    calibrate(database, versions[new], versions[old], encode)
    (straggling,) = behind.of(new)
    for kind in ("text", "image"):
        found = straggling.calibration(kind)
        assert 0.4 < found.slope < 0.6
        assert 0.4 < found.intercept < 0.6
        assert found.error is not None
        assert found.error < 0.01
    places = []
    for query in QUERIES:
        beside = index.search(squeezed(query[None])[0], 600, version=new).hits
        mixed = merged(beside, behind.search(straggling, query, 20, kind="text"), k=620)
        truth = squeezed(np.concatenate([VECTORS, theirs])) @ squeezed(query[None])[0]
        ranks = {hit.product_id: rank for rank, hit in enumerate(mixed)}
        order = np.argsort(-truth)
        first = min(hit.product_id for hit in behind.search(straggling, query, 20, kind="text"))
        for number in range(20):
            ideal = int(np.flatnonzero(order == len(VECTORS) + number)[0])
            places.append(abs(ranks[first + number] - ideal))
    assert np.mean(places) < 10, "of 620, each stands within ten places of where the new model would put it"


def test_a_pair_that_was_never_measured_leaves_scores_as_they_are(
    index: IndexStore, database: Database, dsn: str
) -> None:
    behind = LeftBehind(database)
    old, new, _ = left(index, dsn, new_space=rotated(VECTORS))
    (straggling,) = behind.of(new)
    assert straggling.calibration("text") == Calibration(1.0, 0.0, None, 0)
    plain = behind.search(straggling, QUERIES[0], 3, kind="text")
    with database.transaction() as connection:
        put_calibration(connection, new, old, "text", Calibration(0.5, 0.25, 0.01, 9))
    (measured,) = behind.of(new)
    hits = behind.search(measured, QUERIES[0], 3, kind="text")
    assert [hit.score for hit in hits] == pytest.approx([0.5 * hit.score + 0.25 for hit in plain])
    assert isinstance(measured, Straggling)


def test_merging_keeps_the_order_of_a_search() -> None:
    live, older = [Hit(3, 0.9), Hit(5, 0.5)], [Hit(4, 0.9), Hit(2, 0.5), Hit(9, 0.1)]
    assert [hit.product_id for hit in merged(live, older, k=4)] == [3, 4, 2, 5]
    assert merged([], [], k=3) == []
