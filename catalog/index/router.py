"""Which way a search takes: compare all that pass the filter, or walk a graph, and which one.

A graph is walked from the nearest outwards, and only then is the filter looked at: where few pass, or where the query
and the filter point apart, the walk is long and what it finds is not the nearest. Comparing all costs by how many pass.
So the router asks the census how many pass, and takes what is cheaper of what is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from catalog.filters import Condition
from catalog.index.census import IndexCensus
from catalog.index.records import BEGINNING, Graph, Place, Route

EXACT_PRODUCTS = 1_000
"""Up to here comparing all is nearly as fast as any graph (below 1 ms), and misses nothing."""
COMPARED_PER_EF = 8
"""About so many products are compared in the time that one more of ``ef`` takes."""
GRAPH_SHARE = 0.25
"""A graph is walked only if at least this share of its products passes: else the walk may end far from the nearest."""
DEEPEST_IN_GRAPH = 120
"""Pages beyond so many products compare all: there what a walk leaves out counts, and nobody is in a hurry."""
MAX_EF = 1_000
"""The largest ``hnsw.ef_search`` that pgvector takes."""
REMEMBERED = 1_024
"""Filters of one index version."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One search's way."""

    route: Route
    passing: int
    """About how many products pass the filter."""
    graph: Graph | None = None
    rest: tuple[Condition, ...] = ()
    """What the graph leaves to look at."""
    ef: int = 0
    look_at: int = 0
    """How many that pass are taken from the graph before the nearest of them are chosen."""


class Router:
    """Chooses the ways of searches through one index version; remembers what it found out about a filter.

    Safe to share between threads.
    """

    def __init__(self, graphs: Sequence[Graph], census: IndexCensus) -> None:
        self._graphs = [(frozenset(graph.conditions), graph) for graph in graphs]
        # Both take as long as a search through a graph, and few filters are what most people ask for.
        self.passing = lru_cache(maxsize=REMEMBERED)(census.passing)
        self._smallest = lru_cache(maxsize=REMEMBERED)(self._find_smallest)

    def plan(self, conditions: tuple[Condition, ...], *, wanted: int, after: Place = BEGINNING) -> Plan:
        """The way of a search for the ``wanted`` nearest products from a place on that pass ``conditions``."""
        passing = self.passing(conditions)
        # A walk starts from the beginning each time, and what it has shown must be named: not for long.
        if after.last is not None or len(after.shown) + wanted > DEEPEST_IN_GRAPH:
            return Plan("exact", passing)
        wanted += len(after.shown)
        graph = None if passing <= EXACT_PRODUCTS else self._smallest(conditions)
        if graph is None:
            return Plan("exact", passing)
        share = passing / max(graph.products, 1)
        look_at = wanted + min(wanted, 20)
        ef = max(graph.ef, round(2 * look_at / max(share, 1e-9)))
        if share < GRAPH_SHARE or ef > MAX_EF or passing <= COMPARED_PER_EF * ef:
            return Plan("exact", passing)
        own = graph.conditions
        rest = tuple(condition for condition in conditions if condition not in own)
        return Plan("partial_graph" if own else "graph", passing, graph, rest, ef, look_at)

    def _find_smallest(self, conditions: tuple[Condition, ...]) -> Graph | None:
        """The graph with the fewest products among which are all that pass."""
        fitting = [graph for own, graph in self._graphs if own.issubset(conditions)]
        return min(fitting, key=lambda graph: graph.products, default=None)
