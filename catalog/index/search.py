"""Finding the nearest products, by the way that the router chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from catalog.database import Connection
from catalog.filters import Condition, parameters, where
from catalog.index.graphs import equal
from catalog.index.records import BEGINNING, Answer, Graph, Hit, IndexVersion, Place
from catalog.index.router import Plan
from catalog.index.variety import Look
from catalog.index.vectors import Halfvec, from_halfvec
from catalog.index.versions import INDEX, vectors_of

COMPARING = ("enable_seqscan", "enable_bitmapscan", "enable_sort")
"""What the planner is drawn to instead of walking a graph, as it cannot see how far the walk must go."""
# Planned anew each time, as a plan for any value knows not how many have it. Vectors that are searched are in memory:
# by the usual costs of pages the planner reads a long index of a common value to spare itself some rows.
COMPARE: Mapping[str, str] = {
    "plan_cache_mode": "force_custom_plan",
    "seq_page_cost": "0.1",
    "random_page_cost": "0.1",
    **dict.fromkeys(COMPARING, "on"),
}
# Planned once: the statement names its graph, and planning takes as long as a third of the walk.
WALK: Mapping[str, str] = {
    "plan_cache_mode": "force_generic_plan",
    "hnsw.iterative_scan": "relaxed_order",
    **dict.fromkeys(COMPARING, "off"),
}


def find(
    connection: Connection,
    version: IndexVersion,
    vector: NDArray[np.float32],
    plan: Plan,
    conditions: Sequence[Condition],
    *,
    k: int,
    after: Place = BEGINNING,
) -> Answer:
    """The ``k`` products nearest to ``vector`` from a place on.

    One more than asked for is looked for, which tells whether there are more. A walk through a graph that ends before
    it has found enough is followed by comparing all: no filter ever costs hits.
    """
    hits = _rows(connection, version, vector, plan, conditions, fetch=k + 1, after=after)
    if plan.graph is not None and len(hits) <= k:
        plan = Plan("exact", plan.passing)
        hits = _rows(connection, version, vector, plan, conditions, fetch=k + 1, after=after)
    return Answer(
        hits[:k],
        version,
        is_exact=plan.graph is None,
        has_more=len(hits) > k,
        began=after,
        route=plan.route,
        passing=plan.passing,
    )


def _rows(
    connection: Connection,
    version: IndexVersion,
    vector: NDArray[np.float32],
    plan: Plan,
    conditions: Sequence[Condition],
    *,
    fetch: int,
    after: Place,
) -> list[Hit]:
    with connection.pipeline():
        # On their way together, as each would wait for as long as a small search takes.
        *_, found = [
            connection.execute(query, values)
            for query, values in statements(version, vector, plan, conditions, fetch=fetch, after=after)
        ]
    return [Hit(product_id, score) for product_id, score in found]


def statements(
    version: IndexVersion,
    vector: NDArray[np.float32],
    plan: Plan,
    conditions: Sequence[Condition],
    *,
    fetch: int,
    after: Place,
) -> list[tuple[bytes, dict[str, Any]]]:
    """Settings until the end of the transaction, and the search itself with its parameters."""
    left = tuple(conditions) if plan.graph is None else plan.rest
    values = parameters(left) | {"query": Halfvec(vector), "fetch": fetch, "shown": list(after.shown)}
    if plan.graph is not None:
        values["look_at"] = max(plan.look_at, len(after.shown) + fetch)
    elif after.last is not None:
        values |= {"distance": -after.last.score, "last": after.last.product_id}
    else:
        values |= {"distance": -inf, "last": 0}
    query = _query(version.id, version.dimension, plan.graph, tuple(_shape(condition) for condition in left))
    return [(_settings(plan.ef), {}), (query, values)]


def looks(connection: Connection, version: IndexVersion, answer: Answer) -> dict[int, Look]:
    """What the products of an answer are like."""
    query = INDEX["looks"].format(vectors=vectors_of(version.id))
    # In binary form: a thousand vectors as text take a tenth of a second.
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(query, {"ids": [hit.product_id for hit in answer.hits]}).fetchall()
    return {number: Look(kind, brand, digest, from_halfvec(vector)) for number, kind, brand, digest, vector in rows}


def _shape(condition: Condition) -> Condition:
    """A condition of whose values nothing is left but whether there is none, one or more of them."""
    low, high = (None if bound is None else 0 for bound in (condition.low, condition.high))
    return Condition(condition.column, ("",) * min(len(condition.values), 2), low, high)


@lru_cache(maxsize=512)
def _query(version: int, dimension: int, graph: Graph | None, left: tuple[Condition, ...]) -> bytes:
    """The statement for conditions of these columns; composing one takes as long as a small search."""
    slots: dict[str, Any] = {"vectors": vectors_of(version), "dimension": sql.Literal(dimension)}
    if graph is None:
        return INDEX["search_exact"].format(**slots, where=where(left)).as_bytes(None)
    return INDEX["search_graph"].format(**slots, where=_in_graph(graph, left)).as_bytes(None)


@lru_cache(maxsize=512)
def _settings(ef: int) -> bytes:
    """One statement for all; ``ef`` of 0 walks no graph."""
    # Whole on both ways: a search that compares all may follow a walk in the same transaction.
    settings = {**WALK, "hnsw.ef_search": str(ef)} if ef else COMPARE
    terms = [sql.SQL("set_config({}, {}, true)").format(name, value) for name, value in settings.items()]
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(terms)).as_bytes(None)


def _in_graph(graph: Graph, rest: tuple[Condition, ...]) -> sql.Composable:
    """The graph's own conditions by their literal values, by which the planner knows the graph, and the others."""
    own = (sql.SQL(equal(column, value).as_string(None).replace("%", "%%")) for column, value in graph.values)
    return sql.SQL(" AND ").join([*own, where(rest)])
