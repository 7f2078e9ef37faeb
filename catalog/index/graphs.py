"""Building the graphs of an index version: one over all products, and one for values that many have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import psycopg
from psycopg import sql

from catalog.database import Connection
from catalog.filters import ATTRIBUTES, Value
from catalog.index import partial
from catalog.index.partial import Values
from catalog.index.records import Graph, IndexVersion
from catalog.index.versions import INDEX, vectors_of

# Measured on 44,000 clustered vectors: with pgvector's own 64 for ef_construction no ef finds 99 % of the nearest; an M
# of 24 finds no more than 16 does, and takes half as long again to walk.
M = 16
EF_CONSTRUCTION = 200
# Without memory for the whole graph the build is several times slower: 12,000 products of 512 dimensions take 50 MB.
BUILD_MEMORY = "512MB"
BUILD_WORKERS = 2
UNTRIED_EF = 200


def build_graphs(connection: Connection, version: IndexVersion, products: int) -> tuple[Graph, ...]:
    """Shuffle the vectors, index the attributes, and build every graph that pays; takes seconds per 10,000."""
    slots: dict[str, Any] = {"vectors": vectors_of(version.id)}
    order = sql.Identifier(f"product_vectors_{version.id}_order")
    for step in ("shuffle", "cluster", "drop_index"):
        connection.execute(INDEX[step].format(**slots, order=order))
    for attribute in ATTRIBUTES:
        connection.execute(INDEX["index_attribute"].format(**slots, column=sql.Identifier(attribute)))
    connection.execute(INDEX["analyze"].format(**slots))
    singles: dict[Values, int] = {(value,): count for value, count in value_counts(connection, version).items()}
    wanted = partial.graphs_worth_building(singles, _pair_counts(connection, version), products)
    slots |= {"m": sql.Literal(M), "ef_construction": sql.Literal(EF_CONSTRUCTION)}
    statements = [INDEX["build_graph"].format(**slots)]
    statements += [
        INDEX["build_partial_graph"].format(**slots, where=sql.SQL(" AND ").join(equal(*value) for value in values))
        for values in wanted
    ]
    for statement in statements:
        _build(connection, statement)
    return (
        Graph((), products, UNTRIED_EF),
        *(Graph(values, count, UNTRIED_EF) for values, count in wanted.items()),
    )


def value_counts(connection: Connection, version: IndexVersion) -> dict[tuple[str, Value], int]:
    """How many products have each value of each attribute."""
    return dict(_counts(connection, version))


def _counts(connection: Connection, version: IndexVersion) -> Iterator[tuple[tuple[str, Value], int]]:
    for column in ATTRIBUTES:
        query = INDEX["values"].format(vectors=vectors_of(version.id), column=sql.Identifier(column))
        for value, products in connection.execute(query):
            yield (column, value), products


def _pair_counts(connection: Connection, version: IndexVersion) -> dict[Values, int]:
    """How many products have each two values, of those that many have."""
    counts: dict[Values, int] = {}
    for one, other in combinations(ATTRIBUTES, 2):
        slots = {"one": sql.Identifier(one), "other": sql.Identifier(other)}
        query = INDEX["pairs"].format(vectors=vectors_of(version.id), **slots)
        for first, second, products in connection.execute(query, {"more_than": partial.PAIR_PRODUCTS}):
            counts[(one, first), (other, second)] = products
    return counts


def equal(column: str, value: Value) -> sql.Composed:
    """What all products of a graph have in common, by its literal value."""
    return sql.SQL("{} = {}").format(sql.Identifier(column), sql.Literal(value))


def _build(connection: Connection, statement: sql.Composed) -> None:
    """With helpers where there is shared memory for them, which containers often lack, and without where not."""
    try:
        with connection.transaction():
            _set(connection, {"maintenance_work_mem": BUILD_MEMORY, "max_parallel_maintenance_workers": BUILD_WORKERS})
            connection.execute(statement)
    except psycopg.errors.DiskFull:
        with connection.transaction():
            _set(connection, {"maintenance_work_mem": BUILD_MEMORY, "max_parallel_maintenance_workers": 0})
            connection.execute(statement)


def _set(connection: Connection, settings: Mapping[str, str | int]) -> None:
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, true)", (name, str(value)))
