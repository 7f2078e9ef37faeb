"""Finding the nearest products: by comparing all that pass a filter, or through the HNSW index."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from catalog.database import Connection
from catalog.filters import ProductFilter
from catalog.index.records import Answer, Hit, IndexVersion
from catalog.index.vectors import as_text
from catalog.sql import queries, where

INDEX = queries("index.sql")
# Up to here comparing all takes a few milliseconds and misses nothing.
EXACT_PRODUCTS = 5_000
# The largest that pgvector takes; pages beyond it are compared exactly, so that no page skips or repeats a product.
MAX_EF = 1_000
MIN_EF = 200
RECALL_AT = 10
# Half-precision rounding: two vectors this near in score are the same distance away.
SAME_SCORE = 1e-4


def vectors_of(version: IndexVersion) -> sql.Identifier:
    """The table that holds a version's vectors."""
    return sql.Identifier(f"product_vectors_{version.id}")


def find(
    connection: Connection,
    version: IndexVersion,
    vector: NDArray[np.float32],
    *,
    k: int,
    offset: int,
    filters: ProductFilter,
) -> Answer:
    """The ``k`` products nearest to ``vector`` after the first ``offset``."""
    conditions = filters.conditions()
    products = version.products or 0
    is_exact = bool(conditions) or products <= EXACT_PRODUCTS or offset + k >= MAX_EF
    # One more than asked for tells whether there are more.
    values: dict[str, Any] = {**conditions, "query": as_text(vector), "offset": offset, "fetch": k + 1}
    if is_exact:
        query = INDEX["search_exact"].format(where=where(conditions), vectors=vectors_of(version))
    else:
        values["fetch"] += offset
        query = INDEX["search_graph"].format(vectors=vectors_of(version), dimension=sql.Literal(version.dimension))
        use_graph(connection, at_least=values["fetch"])
    hits = [Hit(product_id, score) for product_id, score in connection.execute(query, values)]
    is_truncated = not is_exact and len(hits) <= k and offset + len(hits) < products
    return Answer(hits[:k], version, is_exact, has_more=len(hits) > k, is_truncated=is_truncated)


def use_graph(connection: Connection, *, at_least: int) -> None:
    """Let this transaction's HNSW scans look at enough candidates, and go on until a query has its rows."""
    settings = {
        "hnsw.ef_search": str(min(max(MIN_EF, 2 * at_least), MAX_EF)),
        "hnsw.iterative_scan": "relaxed_order",
        # Walk the graph and look each product up: the planner, which cannot see how far the scan must go, is otherwise
        # drawn to joining everything first.
        "enable_seqscan": "off",
        "enable_sort": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
    }
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, true)", (name, value))


def measure_recall(connection: Connection, version: IndexVersion, vectors: NDArray[np.float32]) -> float:
    """Mean share of exact search's first ten that the HNSW index finds, over (N, D) query vectors.

    A hit as near as the exact tenth counts, so that equal pictures cannot lower the figure.
    """
    slots = {"vectors": vectors_of(version), "dimension": sql.Literal(version.dimension)}
    exact_query, graph_query = (INDEX[name].format(**slots) for name in ("nearest_exact", "nearest_graph"))
    use_graph(connection, at_least=RECALL_AT)
    shares = []
    for vector in vectors:
        values = {"query": as_text(vector), "fetch": RECALL_AT}
        exact = [score for (score,) in connection.execute(exact_query, values)]
        graph = [score for (score,) in connection.execute(graph_query, values)]
        found = sum(score >= exact[-1] - SAME_SCORE for score in graph)
        shares.append(min(found / len(exact), 1.0))
    return float(np.mean(shares))
