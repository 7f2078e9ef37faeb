"""What does GraphQL cost, how evenly does the API answer, and does a swap of the index disturb anybody?

The API as `tejido up` starts it, with PostgreSQL, Valkey, MLflow and S3 of its own, over real products. Its peer is a
bare route of FastAPI in a process of its own: the same two SQL statements by the same code, the rows as JSON, and
nothing between. It is asked behind the doors of our API (token and session, request id, log line, metrics, headers),
which no route of ours may lack, and once more without them, so that one sees what those cost. Beside them is
`GET /v1/search`. All are asked in turns by one program on the same two cores.

1. A search with 20 hits and all fields of a product, its words remembered: queries/s of the four.
2. At 70 % of what GraphQL can answer, requests that are due at fixed times: p99 against p50.
3. 50 requests/s while two other index versions go live and one is rolled back: no failed request, and every answer's
   model, index and hits belong together.
Usage: python -m benchmarks.serving [--products 3000] [--seconds 8] [--preset lite]
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from benchmarks.inprocess import SOURCE
from benchmarks.load import Answers, as_fast_as_possible, at_rate, get, post
from benchmarks.reporting import Bar, report, table
from benchmarks.served import QUERY, WORDS, Api, make_champion, running, until_ready
from catalog.index import IndexStore
from core.progress import NoProgress
from server.indexing import build_index

TURNS = 9


@contextmanager
def bare_route(api: Api, app: str) -> Iterator[str]:
    """A peer of benchmarks/bare_route.py in a process of its own; yields the URL of its search."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "TEJIDO_POSTGRES_DSN": api.settings.required("postgres_dsn"),
        "TEJIDO_ENV_FILE": str(api.env_file),
    }
    command = [sys.executable, "-m", "uvicorn", f"benchmarks.bare_route:{app}", "--factory", "--port", str(port)]
    with subprocess.Popen([*command, "--no-access-log"], env=environment, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}/search"
        try:
            while not _answers(f"{url}?words=0", api.token):
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def _answers(url: str, token: str) -> bool:
    try:
        return httpx.get(url, headers={"Authorization": f"Bearer {token}"}).is_success
    except httpx.TransportError:
        return False


def twenty_hits(body: bytes) -> None:
    """What every answer of both must be."""
    assert body.count(b'"score"') == 20


@dataclass(frozen=True)
class Throughput:
    """Queries/s of each turn."""

    graphql: list[float]
    guarded: list[float]
    """Of the bare route behind the API's doors."""
    bare: list[float]
    rest: list[float]
    alone_s: float
    """Median of a lone search whose words are known."""

    def against(self, peer: list[float]) -> list[float]:
        """GraphQL's share of what a peer answers, turn by turn."""
        return [ours / theirs for ours, theirs in zip(self.graphql, peer, strict=True)]


def throughput(api: Api, seconds: float) -> Throughput:
    """Ask all four in turns."""
    ours = [
        post(f"{api.url}/graphql", {"query": QUERY, "variables": {"text": w}}, api.token, twenty_hits) for w in WORDS
    ]
    for words in WORDS:
        api.ask(words)
    alone = as_fast_as_possible(ours, connections=1, seconds=seconds / 2)
    twins = [
        get(f"{api.url}/v1/search?{urlencode({'text': words, 'first': 20})}", api.token, twenty_hits) for words in WORDS
    ]
    numbers = range(len(WORDS))
    with bare_route(api, "guarded") as guarded, bare_route(api, "bare") as bare:
        asked = {
            "graphql": ours,
            "guarded": [get(f"{guarded}?words={number}", api.token, twenty_hits) for number in numbers],
            "bare": [get(f"{bare}?words={number}", "", twenty_hits) for number in numbers],
            "rest": twins,
        }
        found: dict[str, list[float]] = {name: [] for name in asked}
        for name in asked:
            as_fast_as_possible(asked[name], connections=4, seconds=1)
        for _ in range(TURNS):
            for name, requests in asked.items():
                answers = right(as_fast_as_possible(requests, connections=4, seconds=seconds))
                found[name].append(answers.per_second)
    return Throughput(**found, alone_s=alone.quantile(0.5))


def right(answers: Answers) -> Answers:
    """The same; a benchmark of failures is none."""
    if answers.failures:
        raise RuntimeError(f"{len(answers.failures)} requests failed, first: {answers.failures[0]}")
    return answers


def swaps(api: Api) -> tuple[Answers, int]:
    """50 requests/s while indexes are built and swapped; and how many versions answered."""
    expected: dict[tuple[int, str], list[int]] = {}
    seen: list[tuple[tuple[int, str], str, list[int]]] = []

    def look(words: str) -> Any:
        def check(body: bytes) -> None:
            answer = json.loads(body)["data"]["searchByText"]
            ids = [edge["node"]["id"] for edge in answer["edges"]]
            seen.append(((answer["indexVersion"], answer["modelVersion"]), words, ids))

        return check

    asked = api.searches(look)
    found: list[Answers] = []
    stop = threading.Event()

    def load_on() -> None:
        while not stop.is_set():
            found.append(at_rate(asked, per_second=50, seconds=2))

    thread = threading.Thread(target=load_on)
    thread.start()
    try:
        for seed in (1, 2):
            make_champion(api.settings, api.spec, seed=seed)
            build_index(api.settings, NoProgress())
            until_ready(api.url)
            time.sleep(4)
        with IndexStore(api.settings.required("postgres_dsn")) as index:
            before = next(version.id for version in index.versions() if version.state == "retired")
            index.swap(before)
        until_ready(api.url)
        time.sleep(4)
    finally:
        stop.set()
        thread.join()
    # A version always answers a question alike: whatever differs was found in another's space.
    for version, words, ids in seen:
        known = expected.setdefault((version[0], words), ids)
        if known != ids:
            found[-1].failures.append(f"{version} answered {words!r} in two ways")
    pairs = {version for version, _, _ in seen}
    if len({index for index, _ in pairs}) != len(pairs):
        found[-1].failures.append(f"an index answered with two models: {sorted(pairs)}")
    whole = Answers(sum(part.seconds for part in found))
    for part in found:
        whole.latencies += part.latencies
        whole.failures += part.failures
    return whole, len(pairs)


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--preset", default="lite")
    parser.add_argument("--source", default=SOURCE)
    options = parser.parse_args()
    with running(options.source, options.products, options.preset) as api:
        rates = throughput(api, options.seconds)
        ours = [
            post(f"{api.url}/graphql", {"query": QUERY, "variables": {"text": w}}, api.token, twenty_hits)
            for w in WORDS
        ]
        steady = [
            right(at_rate(ours, per_second=0.7 * statistics.median(rates.graphql), seconds=options.seconds))
            for _ in range(TURNS)
        ]
        spread = [run.quantile(0.99) / run.quantile(0.5) for run in steady]
        swapped, versions = swaps(api)
    figures: Mapping[str, Any] = {
        "graphql_per_s": rates.graphql, "guarded_per_s": rates.guarded, "bare_per_s": rates.bare,
        "rest_per_s": rates.rest, "alone_ms": 1e3 * rates.alone_s,
        "at_70_percent": [{"p50_ms": 1e3 * r.quantile(0.5), "p99_ms": 1e3 * r.quantile(0.99)} for r in steady],
        "swap": {"answers": len(swapped.latencies), "failures": swapped.failures[:5], "versions": versions,
                 "p99_ms": 1e3 * swapped.quantile(0.99)},
    }  # fmt: skip
    report(
        "serving",
        __doc__ or "",
        shown=table(
            ("turn", "GraphQL/s", "bare route/s", "ratio", "without doors/s", "ratio", "/v1/search/s", "ratio",
             "p50 ms at 70 %", "p99 ms", "p99 / p50"),
            [
                (turn + 1, f"{rates.graphql[turn]:.0f}",
                 *(text for peer in (rates.guarded, rates.bare, rates.rest)
                   for text in (f"{peer[turn]:.0f}", f"{rates.against(peer)[turn]:.2f}")),
                 f"{1e3 * steady[turn].quantile(0.5):.1f}", f"{1e3 * steady[turn].quantile(0.99):.1f}",
                 f"{spread[turn]:.1f}")
                for turn in range(TURNS)
            ],
        )
        + f"\n{len(swapped.latencies)} answers by {versions} index versions while two were built and three swapped",
        figures=figures,
        bars=[
            Bar("GraphQL against a bare route", 0.75, statistics.median(rates.against(rates.guarded)), is_floor=True),
            Bar("p99 / p50 at 70 % of saturation", 3, statistics.median(spread)),
            Bar("ms of a lone search whose words are known (p50)", 15, 1e3 * rates.alone_s),
            Bar("failed or mixed answers during swaps", 0, len(swapped.failures)),
            Bar("index versions that answered", 3, versions, is_floor=True),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
