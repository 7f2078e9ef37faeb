"""The ways that searches take through an index on a real pgvector, each against the oracle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from catalog.filters import ProductFilter
from catalog.index import BEGINNING, IndexStore, partial, router, search, verification
from catalog.index.following import follow_catalogue
from catalog.index.router import Plan
from tests.integration.catalog.indexes import COLOURS, QUERIES, oracle, publish

pytestmark = pytest.mark.integration

GRAPHS_OF = """
SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL AND pg_get_expr(indpred, indrelid) ~ %s
"""


@pytest.fixture
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than ten products are not compared, and have a graph: as in a catalogue a hundred times as large."""
    monkeypatch.setattr(partial, "SINGLE_PRODUCTS", 10)
    monkeypatch.setattr(partial, "PAIR_PRODUCTS", 10)
    monkeypatch.setattr(router, "EXACT_PRODUCTS", 10)
    monkeypatch.setattr(router, "COMPARED_PER_EF", 0)
    monkeypatch.setattr(router, "GRAPH_SHARE", 0.0)


def planned(connection: psycopg.Connection[Any], query: bytes, values: Mapping[str, Any]) -> str:
    """The plan of a prepared statement, which is made once for all values."""
    names = list(dict.fromkeys(re.findall(rb"%\((\w+)\)s", query)))
    text = re.sub(rb"%\((\w+)\)s", lambda found: b"$%d" % (names.index(found[1]) + 1), query).replace(b"%%", b"%")
    connection.execute(b"PREPARE walk AS " + text)
    given = [values[name.decode()] for name in names]
    with psycopg.ClientCursor(connection) as cursor:
        rows = cursor.execute(f"EXPLAIN EXECUTE walk ({', '.join(['%s'] * len(names))})".encode(), given)
        return "\n".join(row[0] for row in rows)


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
    assert [(graph.values, graph.products) for graph in live.graphs] == [
        ((), 600),
        *(((("base_colour", colour),), 200) for colour in sorted(COLOURS)),
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
    graph = next(graph for graph in live.graphs if graph.values == ((("base_colour", colour),) if colour else ()))
    with psycopg.connect(dsn) as connection:
        own = {name for (name,) in connection.execute(GRAPHS_OF, (colour or "^$",))}
        statements = search.statements(
            live, QUERIES[0], Plan("graph", 600, graph, (), 40, 11), (), fetch=11, after=BEGINNING
        )
        *settings, (query, values) = statements
        for setting, _ in settings:
            connection.execute(setting)
        plan = planned(connection, query, {**values, "query": str(QUERIES[0].tolist())})
    assert "embedding_idx" in plan
    assert any(name in plan for name in own) == bool(colour)


@pytest.mark.usefixtures("small_graphs")
def test_two_values_that_are_common_each_are_searched_in_a_graph_of_their_own(
    index: IndexStore, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "SINGLE_SHARE", 0.3)
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE fashion_files SET season = CASE WHEN id % 2 = 0 THEN 'Winter' ELSE 'Summer' END")
    publish(index)
    live = index.live()
    assert live is not None
    both = (("base_colour", "Red"), ("season", "Winter"))
    assert {graph.values: graph.products for graph in live.graphs}[both] == 100
    found = 0
    for query in QUERIES:
        answer = index.search(query, 10, filters=ProductFilter(base_colour="Red", season="Winter"))
        assert (answer.route, answer.passing, len(answer.hits)) == ("partial_graph", 100, 10)
        assert all(hit.product_id % 6 == 0 for hit in answer.hits)
        found += len({hit.product_id for hit in answer.hits} & set(oracle(query, list(range(0, 600, 6)))[:10]))
    assert found / 200 > 0.95


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


def test_lists_and_ranges_filter(index: IndexStore, dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE fashion_files SET year = 2000 + id % 20")
    publish(index)
    wanted = ProductFilter(base_colour=("Red", "Blue"), year_from=2010, year_to=2012)
    answer = index.search(QUERIES[0], 1000, filters=wanted)
    expected = [n for n in range(600) if n % 3 in (0, 1) and 10 <= n % 20 <= 12]
    assert [hit.product_id for hit in answer.hits] == oracle(QUERIES[0], expected)
