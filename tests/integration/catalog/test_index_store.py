"""The vector index on a real pgvector: versions, swaps, and search against a slow oracle."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from catalog.errors import IndexRecallLow, IndexStateInvalid, IndexVersionMissing, VectorsInvalid
from catalog.filters import ProductFilter
from catalog.index import IndexStore, router, search, verification
from catalog.index.following import follow_catalogue
from catalog.index.router import Plan
from catalog.store import CatalogueStore

pytestmark = pytest.mark.integration

DIMENSION = 32
COLOURS = ("Red", "Blue", "Green")
PUBLISH = """
INSERT INTO fashion_files (id, base_colour, filename, s3_path, product_display_name, dataset, split, image_sha256)
SELECT n, (%s::text[])[n %% 3 + 1], n || '.jpg', 's3://data/x#' || n, 'Product ' || n, 'test', 'train', ''
FROM generate_series(0, %s) AS n
"""
GRAPHS_OF = """
SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL AND pg_get_expr(indpred, indrelid) ~ %s
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


@pytest.fixture
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than ten products are not compared, and have a graph: as in a catalogue a hundred times as large."""
    monkeypatch.setattr(router, "EXACT_PRODUCTS", 10)
    monkeypatch.setattr(router, "GRAPH_SHARE", 0.0)


@pytest.mark.usefixtures("small_graphs")
def test_the_graph_finds_what_exact_search_finds(index: IndexStore) -> None:
    publish(index)
    found = 0
    for query in QUERIES:
        answer = index.search(query, 10)
        assert (answer.is_exact, answer.route, answer.passing) == (False, "graph", 600)
        scores = [hit.score for hit in answer.hits]
        assert len(scores) == 10
        assert scores == sorted(scores, reverse=True)
        found += len({hit.product_id for hit in answer.hits} & set(oracle(query, list(range(600)))[:10]))
    assert found / 200 > 0.95


@pytest.mark.usefixtures("small_graphs")
def test_a_value_that_many_have_is_searched_in_a_graph_of_its_own(index: IndexStore) -> None:
    publish(index)
    live = index.live()
    assert live is not None
    assert [(graph.column, graph.value, graph.products) for graph in live.graphs] == [
        (None, None, 600),
        *(("base_colour", colour, 200) for colour in sorted(COLOURS)),
    ]
    found = 0
    for query in QUERIES:
        answer = index.search(query, 10, filters=ProductFilter(base_colour="Red"))
        assert (answer.route, answer.passing, len(answer.hits)) == ("partial_graph", 200, 10)
        assert all(hit.product_id % 3 == 0 for hit in answer.hits)
        found += len({hit.product_id for hit in answer.hits} & set(oracle(query, list(range(0, 600, 3)))[:10]))
    assert found / 200 > 0.95


@pytest.mark.usefixtures("small_graphs")
@pytest.mark.parametrize("colour", [None, "Red"])
def test_each_walk_goes_through_its_own_graph(index: IndexStore, dsn: str, colour: str | None) -> None:
    publish(index)
    live = index.live()
    assert live is not None
    graph = next(graph for graph in live.graphs if graph.value == colour)
    with psycopg.connect(dsn) as connection:
        own = {name for (name,) in connection.execute(GRAPHS_OF, (colour or "^$",))}
        statements = search.statements(live, QUERIES[0], Plan("graph", 600, graph, (), 40, 11), (), fetch=11, offset=0)
        *settings, (query, values) = statements
        for setting, _ in settings:
            connection.execute(setting)
        plan = "\n".join(row[0] for row in connection.execute(b"EXPLAIN " + query, values))
    assert "embedding_idx" in plan
    assert any(name in plan for name in own) == bool(colour)


@pytest.mark.usefixtures("small_graphs")
def test_a_value_may_look_like_a_placeholder_or_end_a_string(index: IndexStore, dsn: str) -> None:
    name = "50%s o'Red {x}"
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE fashion_files SET base_colour = %s WHERE base_colour = 'Red'", (name,))
    publish(index)
    answer = index.search(QUERIES[0], 10, filters=ProductFilter(base_colour=name))
    assert (answer.route, len(answer.hits)) == ("partial_graph", 10)
    assert all(hit.product_id % 3 == 0 for hit in answer.hits)


@pytest.mark.usefixtures("small_graphs")
def test_a_walk_that_ends_too_early_is_followed_by_comparing_all(index: IndexStore, dsn: str) -> None:
    publish(index)
    wanted = ProductFilter(base_colour=("Red", "Scarlet"))
    assert index.search(QUERIES[0], 10, filters=wanted).route == "graph"
    with psycopg.connect(dsn) as connection:
        # Behind the router's back: it thinks that a third of all are red, and looks for them in the graph over all.
        connection.execute("UPDATE fashion_files SET base_colour = 'Blue' WHERE base_colour = 'Red' AND id > 12")
        follow_catalogue(connection)
    answer = index.search(QUERIES[0], 10, filters=wanted)
    assert (answer.passing, answer.route) == (200, "exact")
    assert sorted(hit.product_id for hit in answer.hits) == [0, 3, 6, 9, 12]


@pytest.mark.usefixtures("small_graphs")
def test_verification_keeps_what_it_measured_with_the_version(index: IndexStore) -> None:
    version = publish(index)
    live = index.live()
    assert live is not None
    assert all(graph.recall is not None and graph.recall > 0.9 for graph in live.graphs)
    assert {graph.ef for graph in live.graphs} <= set(verification.EFS)
    buckets = {bucket.share_up_to: bucket for bucket in live.recall}
    assert set(buckets) == {None, 1.0}
    assert all(bucket.recall_at_10 > 0.9 and not bucket.short for bucket in live.recall)
    assert index.verify(version, QUERIES).state == "live"


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


def test_lists_and_ranges_filter(index: IndexStore, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE fashion_files SET year = 2000 + id % 20")
    publish(index)
    wanted = ProductFilter(base_colour=("Red", "Blue"), year_from=2010, year_to=2012)
    answer = index.search(QUERIES[0], 1000, filters=wanted)
    expected = [n for n in range(600) if n % 3 in (0, 1) and 10 <= n % 20 <= 12]
    assert [hit.product_id for hit in answer.hits] == oracle(QUERIES[0], expected)


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
