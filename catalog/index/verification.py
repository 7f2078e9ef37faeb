"""How well an index finds what comparing everything finds: each of its graphs, and searches as people filter."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from catalog.database import Connection
from catalog.filters import ATTRIBUTES, Condition
from catalog.index.census import IndexCensus
from catalog.index.records import Graph, Hit, IndexVersion, RecallBucket
from catalog.index.router import Plan, Router
from catalog.index.search import find

RECALL_AT = 10
TARGET = 0.995
EFS = (40, 64, 80, 100, 120, 160, 200, 400, 800)
LEAST_PARTIAL_EF = 64
"""Of graphs of some values, which few queries try: what saves a twentieth of a millisecond may cost a hundredth of the
nearest."""
# Half-precision rounding: two vectors this near in score are the same distance away.
SAME_SCORE = 1e-4
SHARES = (0.005, 0.02, 0.08, 0.25, 1.0)
"""Upper ends of the ranges of selectivity that are measured apart; searches without a filter are another."""
SEARCHES_PER_BUCKET = 20
DRAWS = 400
GRAPH_QUERIES = 50

Vectors = NDArray[np.float32]


def tuned(connection: Connection, version: IndexVersion, graph: Graph, queries: Vectors) -> Graph:
    """``graph`` with the smallest ef that finds `TARGET` of the nearest, or the largest that was tried."""
    conditions = graph.conditions
    exact = [_nearest(connection, version, query, Plan("exact", graph.products), conditions) for query in queries]
    found = graph
    for ef in EFS if not graph.values else (ef for ef in EFS if ef >= LEAST_PARTIAL_EF):
        way = Plan("partial_graph", graph.products, graph, (), ef, RECALL_AT)
        recalls = [
            recall(_nearest(connection, version, query, way, conditions), best)
            for query, best in zip(queries, exact, strict=True)
        ]
        found = replace(graph, ef=ef, recall=float(np.mean(recalls)))
        if found.recall is not None and found.recall >= TARGET:
            break
    return found


def measured(
    connection: Connection, version: IndexVersion, census: IndexCensus, graphs: Sequence[Graph], queries: Vectors
) -> tuple[RecallBucket, ...]:
    """Recall of searches by the router's way, for filters of every selectivity that the catalogue's own products have.

    Filters are the attributes of products drawn at random, one to three at a time; queries are drawn apart from them,
    so that many point away from what the filter lets through.
    """
    draws = random.Random(version.id)  # noqa: S311  # which filters are tried is no secret
    recalls: dict[float | None, list[float]] = defaultdict(list)
    short: dict[float | None, int] = defaultdict(int)
    router = Router(graphs, census)
    for conditions in ((), *_filters(census, draws)):
        passing = router.passing(conditions)
        share = next(s for s in SHARES if passing <= s * max(census.products, 1)) if conditions else None
        for query in _some(queries, draws, SEARCHES_PER_BUCKET if not conditions else 1):
            if len(recalls[share]) >= SEARCHES_PER_BUCKET:
                break
            way = router.plan(conditions, wanted=RECALL_AT)
            found = _nearest(connection, version, query, way, conditions)
            best = _nearest(connection, version, query, Plan("exact", passing), conditions) if way.graph else found
            recalls[share].append(recall(found, best))
            short[share] += len(found) < len(best)
    return tuple(
        RecallBucket(share, len(recalls[share]), float(np.mean(recalls[share])), short[share])
        for share in (*SHARES, None)
        if recalls[share]
    )


def recall(found: Sequence[Hit], best: Sequence[Hit]) -> float:
    """Share of the nearest that was found; one as near as the last of them counts: equal pictures cost nothing."""
    if not best:
        return 1.0
    return min(sum(hit.score >= best[-1].score - SAME_SCORE for hit in found) / len(best), 1.0)


def _nearest(
    connection: Connection, version: IndexVersion, query: Vectors, way: Plan, conditions: Sequence[Condition]
) -> list[Hit]:
    return find(connection, version, query, way, conditions, k=RECALL_AT).hits


def _filters(census: IndexCensus, draws: random.Random) -> Iterator[tuple[Condition, ...]]:
    for _ in range(DRAWS if census.sampled else 0):
        row = draws.randrange(census.sampled)
        chosen = draws.sample(ATTRIBUTES, draws.randint(1, 3))
        values = {name: census.sample[name][row] for name in chosen}
        if conditions := tuple(Condition(name, (value,)) for name, value in values.items() if value is not None):
            yield conditions


def _some(queries: Vectors, draws: random.Random, count: int) -> Iterator[Vectors]:
    for number in draws.sample(range(len(queries)), min(count, len(queries))):
        yield queries[number]
