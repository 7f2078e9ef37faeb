"""The vector index on a real pgvector: versions, swaps, and search against a slow oracle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from psycopg import sql

from catalog.errors import IndexRecallLow, IndexStateInvalid, IndexVersionMissing, VectorsInvalid
from catalog.filters import ProductFilter
from catalog.index import IndexStore, search
from catalog.index.vectors import as_text

pytestmark = pytest.mark.integration

DIMENSION = 32
COLOURS = ("Red", "Blue", "Green")
PUBLISH = """
INSERT INTO fashion_files (id, base_colour, filename, s3_path, product_display_name, dataset, split, image_sha256)
SELECT n, (%s::text[])[n %% 3 + 1], n || '.jpg', 's3://data/x#' || n, 'Product ' || n, 'test', 'train', ''
FROM generate_series(0, %s) AS n
"""
Vectors = NDArray[np.float32]


def unit_vectors(count: int, *, seed: int = 0, dimension: int = DIMENSION) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


VECTORS = unit_vectors(600)
QUERIES = unit_vectors(20, seed=1)


@pytest.fixture
def index(dsn: str) -> Iterator[IndexStore]:
    """An index store over 600 published products; product n has vector n and colour n mod 3."""
    with psycopg.connect(dsn) as connection:
        connection.execute(PUBLISH, (list(COLOURS), len(VECTORS) - 1))
    with IndexStore(dsn) as index:
        yield index


def build(index: IndexStore, vectors: Vectors = VECTORS, *, model_version: str = "1") -> int:
    version = index.begin("fashion-clip", model_version, "v1", vectors.shape[1], model_hash="ab")
    for start in range(0, len(vectors), 250):
        part = vectors[start : start + 250]
        index.add(version, range(start, start + len(part)), part)
    assert index.finish(version) == len(vectors)
    return version


def publish(index: IndexStore, vectors: Vectors = VECTORS, *, model_version: str = "1") -> int:
    version = build(index, vectors, model_version=model_version)
    index.verify(version, unit_vectors(5, seed=2, dimension=vectors.shape[1]))
    index.swap(version)
    return version


def oracle(query: Vectors, ids: list[int]) -> list[int]:
    """Ids by the inner product of half-precision vectors, nearest first."""
    scores = VECTORS[ids].astype(np.float16).astype(np.float64) @ query.astype(np.float16).astype(np.float64)
    return [ids[place] for place in np.argsort(-scores, kind="stable")]


def test_exact_search_equals_the_oracle(index: IndexStore) -> None:
    version = publish(index)
    for query in QUERIES:
        answer = index.search(query, 10)
        assert [hit.product_id for hit in answer.hits] == oracle(query, list(range(600)))[:10]
        assert (answer.version.id, answer.is_exact, answer.has_more, answer.is_truncated) == (
            version,
            True,
            True,
            False,
        )
        assert answer.hits[0].score == pytest.approx(float(VECTORS[answer.hits[0].product_id] @ query), abs=2e-3)


def test_a_filter_never_costs_hits(index: IndexStore) -> None:
    publish(index)
    answer = index.search(QUERIES[0], 50, filters=ProductFilter(base_colour="Green"))
    assert [hit.product_id for hit in answer.hits] == oracle(QUERIES[0], list(range(2, 600, 3)))[:50]
    assert index.search(QUERIES[0], 10, filters=ProductFilter(base_colour="None")).hits == []


def test_pages_neither_skip_nor_repeat(index: IndexStore) -> None:
    publish(index)
    pages = [index.search(QUERIES[0], 7, offset=offset) for offset in range(0, 600, 7)]
    assert [hit.product_id for page in pages for hit in page.hits] == oracle(QUERIES[0], list(range(600)))
    assert [page.has_more for page in pages[-2:]] == [True, False]


def test_the_graph_finds_what_exact_search_finds(index: IndexStore, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index)
    monkeypatch.setattr(search, "EXACT_PRODUCTS", 10)
    found = 0
    for query in QUERIES:
        answer = index.search(query, 10)
        assert not answer.is_exact
        scores = [hit.score for hit in answer.hits]
        assert len(scores) == 10
        assert scores == sorted(scores, reverse=True)
        found += len({hit.product_id for hit in answer.hits} & set(oracle(query, list(range(600)))[:10]))
    assert found / 200 > 0.95


def test_the_graph_search_uses_the_graph(index: IndexStore, dsn: str) -> None:
    publish(index)
    live = index.live()
    assert live is not None
    query = search.INDEX["search_graph"].format(vectors=search.vectors_of(live), dimension=sql.Literal(live.dimension))
    with psycopg.connect(dsn) as connection:
        search.use_graph(connection, at_least=10)
        values = {"query": as_text(QUERIES[0]), "fetch": 10, "offset": 0}
        plan = "\n".join(row[0] for row in connection.execute(sql.SQL("EXPLAIN ") + query, values))
    assert "embedding_idx" in plan


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
    assert index.verify(version, QUERIES) == 1.0
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
