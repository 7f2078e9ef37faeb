"""The vector index on a real pgvector: versions, swaps, and search against a slow oracle."""

from __future__ import annotations

import dataclasses
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest

from catalog.errors import IndexRecallLow, IndexStateInvalid, IndexVersionMissing, VectorsInvalid
from catalog.filters import ProductFilter
from catalog.index import IndexStore, verification
from catalog.store import CatalogueStore
from tests.integration.catalog.indexes import DIMENSION, QUERIES, VECTORS, oracle, publish, unit_vectors

pytestmark = pytest.mark.integration


def test_exact_search_equals_the_oracle(index: IndexStore) -> None:
    version = publish(index)
    for query in QUERIES:
        answer = index.search(query, 10)
        assert [hit.product_id for hit in answer.hits] == oracle(query, list(range(600)))[:10]
        assert (answer.version.id, answer.is_exact, answer.has_more) == (version, True, True)
        assert answer.hits[0].score == pytest.approx(float(VECTORS[answer.hits[0].product_id] @ query), abs=2e-3)


def test_a_filter_never_costs_hits(index: IndexStore) -> None:
    publish(index)
    answer = index.search(QUERIES[0], 50, filters=ProductFilter(base_colour="Green"))
    assert [hit.product_id for hit in answer.hits] == oracle(QUERIES[0], list(range(2, 600, 3)))[:50]
    assert index.search(QUERIES[0], 10, filters=ProductFilter(base_colour="None")).hits == []


def test_pages_neither_skip_nor_repeat(index: IndexStore) -> None:
    publish(index)
    pages = [index.search(QUERIES[0], 7)]
    while pages[-1].has_more:
        pages.append(index.search(QUERIES[0], 7, after=pages[-1].place_after(6)))
    assert [hit.product_id for page in pages for hit in page.hits] == oracle(QUERIES[0], list(range(600)))
    assert len(pages) == 86


def test_attributes_follow_the_catalogue(index: IndexStore, dsn: str) -> None:
    publish(index)
    with CatalogueStore(dsn) as catalogue:
        rows = catalogue.all_files(1000)
        changed = [dataclasses.replace(rows[0], base_colour="Teal"), *rows[2:]]
        catalogue.replace_products(changed)
        assert [row.created_at for row in catalogue.all_files(3)] == [row.created_at for row in changed[:3]]
    answer = index.search(QUERIES[0], 10, filters=ProductFilter(base_colour="Teal"))
    assert [hit.product_id for hit in answer.hits] == [0]
    assert 1 not in {hit.product_id for hit in index.search(QUERIES[0], 1000).hits}


def test_a_swap_does_not_wait_for_a_live_version_to_be_measured(
    index: IndexStore, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, live = publish(index), publish(index)
    real = verification.measured

    def meanwhile(*given: Any) -> Any:
        with IndexStore(f"{dsn}&options=-c%20lock_timeout%3D2s") as other:
            assert other.swap(old).state == "live"
        return real(*given)

    monkeypatch.setattr("catalog.index.store.measured", meanwhile)
    assert index.verify(live, QUERIES).state == "retired"


def test_a_products_own_vector_can_be_had(index: IndexStore) -> None:
    version = publish(index)
    vector = index.vector(7)
    assert vector is not None
    np.testing.assert_allclose(vector, VECTORS[7], atol=1e-3)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert index.search(vector, 1).hits[0].product_id == 7
    assert index.vector(4000, version=version) is None
    with pytest.raises(IndexVersionMissing):
        index.vector(7, version=version + 1)


def test_products_that_are_published_no_more_are_not_found(index: IndexStore, dsn: str) -> None:
    publish(index)
    first = index.search(QUERIES[0], 10).hits
    with psycopg.connect(dsn) as connection:
        connection.execute("DELETE FROM fashion_files WHERE id = %s", (first[0].product_id,))
    assert index.search(QUERIES[0], 9).hits == first[1:]


def test_a_swap_moves_all_queries_to_the_new_version(index: IndexStore) -> None:
    old = publish(index)
    new = publish(index, unit_vectors(600, seed=3, dimension=16), model_version="2")
    live = index.live()
    assert live is not None
    assert (live.id, live.model_version, live.dimension, live.products) == (new, "2", 16, 600)
    assert [(v.id, v.state) for v in index.versions()] == [(new, "live"), (old, "retired")]
    with pytest.raises(VectorsInvalid, match=r"takes \(N, 16\)"):
        index.search(QUERIES[0], 10)
    assert index.search(QUERIES[0], 10, version=old).version.id == old


def test_a_swap_back_needs_no_new_build(index: IndexStore) -> None:
    old, new = publish(index), publish(index, model_version="2")
    index.swap(old)
    assert [(v.id, v.state) for v in index.versions()] == [(new, "retired"), (old, "live")]
    assert index.swap(old).state == "live"


def test_retired_versions_are_dropped_but_the_last(index: IndexStore, dsn: str) -> None:
    first, second, third = publish(index), publish(index), publish(index)
    assert index.drop_retired(keep=1) == [first]
    assert [v.id for v in index.versions()] == [third, second]
    with pytest.raises(IndexVersionMissing):
        index.search(QUERIES[0], 10, version=first)
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'product_vectors%'").fetchall()
    assert sorted(rows) == sorted([(f"product_vectors_{second}",), (f"product_vectors_{third}",)])


def test_versions_that_answer_nobody_are_dropped_when_they_are_old(index: IndexStore) -> None:
    publish(index)
    live, aborted = publish(index), index.begin("fashion-clip", "2", "v2", DIMENSION)
    now = datetime.now(UTC)
    assert index.drop_outdated(now - timedelta(days=1)) == []
    assert index.drop_outdated(now + timedelta(days=1)) == [live - 1, aborted]
    assert [v.id for v in index.versions()] == [live]


def test_an_aborted_build_is_never_live_and_goes_with_the_next(index: IndexStore) -> None:
    live = publish(index)
    aborted = index.begin("fashion-clip", "2", "v2", DIMENSION)
    index.add(aborted, [1], VECTORS[:1])
    assert index.search(QUERIES[0], 1).version.id == live
    with pytest.raises(IndexVersionMissing, match="is not live"):
        index.search(QUERIES[0], 1, version=aborted)
    fresh = index.begin("fashion-clip", "2", "v2", DIMENSION)
    assert [v.id for v in index.versions()] == [fresh, live]
    with pytest.raises(IndexVersionMissing):
        index.add(aborted, [2], VECTORS[:1])


def test_a_version_goes_live_only_finished_and_verified(index: IndexStore) -> None:
    version = index.begin("fashion-clip", "1", "v1", DIMENSION)
    index.add(version, [0], VECTORS[:1])
    with pytest.raises(IndexStateInvalid, match="no finished products"):
        index.verify(version, QUERIES)
    index.finish(version)
    with pytest.raises(IndexStateInvalid, match="is finished"):
        index.add(version, [1], VECTORS[1:2])
    with pytest.raises(IndexStateInvalid, match="not verified"):
        index.swap(version)
    with pytest.raises(IndexRecallLow, match="The live version stays"):
        index.verify(version, QUERIES, min_recall=1.1)
    assert index.verify(version, QUERIES).recall_at_10 == 1.0
    assert index.swap(version).recall_at_10 == 1.0


def test_nothing_live_is_said(index: IndexStore) -> None:
    assert index.live() is None
    with pytest.raises(IndexVersionMissing, match="tejido index build"):
        index.search(QUERIES[0], 10)


def test_unusable_vectors_are_refused_whole(index: IndexStore) -> None:
    version = index.begin("fashion-clip", "1", "v1", DIMENSION)
    broken = VECTORS[:3].copy()
    broken[1, 0] = np.nan
    with pytest.raises(VectorsInvalid, match="Vector 1 has length nan"):
        index.add(version, [1, 2, 3], broken)
    with pytest.raises(VectorsInvalid, match="has length 2"):
        index.add(version, [1], VECTORS[:1] * 2)
    with pytest.raises(VectorsInvalid, match="2 ids came with 1 vectors"):
        index.add(version, [1, 2], VECTORS[:1])
    with pytest.raises(VectorsInvalid, match="added twice"):
        index.add(version, [1, 1], VECTORS[:2])
    index.add(version, [1, 2], VECTORS[:2])
    assert index.finish(version) == 2


def test_a_search_sees_one_version_while_versions_are_swapped(index: IndexStore) -> None:
    publish(index)
    stop, failures, seen = threading.Event(), [], set()

    def ask() -> None:
        while not stop.is_set():
            try:
                answer = index.search(QUERIES[0], 5)
            except Exception as error:
                failures.append(error)
                return
            seen.add(answer.version.model_version)
            assert len(answer.hits) == 5

    thread = threading.Thread(target=ask)
    thread.start()
    for number in range(2, 6):
        publish(index, model_version=str(number))
        index.drop_retired(keep=1)
    stop.set()
    thread.join()
    assert failures == []
    assert len(seen) > 1
