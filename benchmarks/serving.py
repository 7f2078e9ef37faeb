"""What does GraphQL cost, how evenly does the API answer, and does a swap of the index disturb anybody?

The API as `tejido up` starts it, with PostgreSQL, Valkey, MLflow and S3 of its own, over real products. Its peer is a
route of a bare FastAPI application in another process: no token, no limits, no log, the same two SQL statements by the
same code, the rows as JSON. Beside them is `GET /v1/search`, which goes through the same doors as GraphQL, so that one
sees what of the difference is GraphQL. All are asked in turns by one program on the same two cores.

1. A search with 20 hits and all fields of a product, its words remembered: queries/s of the three.
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
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from benchmarks.deployed import CLIENTS
from benchmarks.inprocess import SOURCE
from benchmarks.load import Answers, Asked, Check, as_fast_as_possible, at_rate, get, post
from benchmarks.reporting import Bar, report, table
from catalog.etl import client_stores, load
from catalog.index import IndexStore
from catalog.store import CatalogueStore
from core.progress import NoProgress
from core.settings import ClientBucket, Settings
from embedded.layout import Parts
from embedded.stack import Stack
from federation.config import FederationConfig
from federation.encoding import LazyTowers
from federation.model import initial_state
from federation.spec import ModelSpec
from security.passwords import hash_password
from server.indexing import build_index
from server.models import write_model
from server.sealing import Seals
from server.stores import open_stores
from server.tracking import CHAMPION, FEDERATED_EXPERIMENT, Tracker

WORDS = ("navy blue checked shirt", "red dress", "black leather shoes", "silver watch for women", "running shoes")
FIELDS = (
    "id filename s3Path gender masterCategory subCategory articleType baseColour season year usage brand "
    "productDisplayName dataset owner origin split createdAt"
)
QUERY = (
    "query ($text: String!) { searchByText(text: $text, first: 20) "
    "{ indexVersion modelVersion exact edges { score node { " + FIELDS + " } } } }"
)
PASSWORD = "a password for benchmarks"  # noqa: S105  # of a stack that lives for a minute
TURNS = 3


@dataclass(frozen=True)
class Api:
    """A stack with a catalogue, a model and an index, and a reader's token."""

    settings: Settings
    url: str
    token: str
    spec: ModelSpec

    def ask(self, words: str) -> dict[str, Any]:
        """One search, now."""
        answer = httpx.post(
            f"{self.url}/graphql",
            json={"query": QUERY, "variables": {"text": words}},
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
        ).json()
        return dict(answer["data"]["searchByText"])

    def searches(self, check: Callable[[str], Check]) -> list[Asked]:
        """One request for each of WORDS; ``check`` gives what looks at its answers."""
        return [
            post(f"{self.url}/graphql", {"query": QUERY, "variables": {"text": words}}, self.token, check(words))
            for words in WORDS
        ]


@contextmanager
def running(source: str, products: int, preset: str) -> Iterator[Api]:
    """The stack in a folder of its own; its champion are untrained heads."""
    # One user asks as fast as can be, which is more often than one may.
    os.environ["TEJIDO_SEARCHES_PER_MINUTE"] = "0"
    with (
        tempfile.TemporaryDirectory(prefix="tj-") as folder,
        Stack(Path(folder), CLIENTS, parts=Parts(airflow=False, federation=False)) as stack,
    ):
        settings = stack.settings()
        buckets = json.loads(Path(settings.required("clients_file")).read_text())
        with CatalogueStore(settings.required("postgres_dsn")) as rows:
            clients = client_stores(ClientBucket(**bucket) for bucket in buckets)
            load(source, store=open_stores(settings).data, catalogue=rows, clients=clients, limit=products)
            rows.put_user("ana", hash_password(PASSWORD), ["reader"])
        spec = ModelSpec.of(FederationConfig(preset=preset))
        make_champion(settings, spec, seed=0)
        build_index(settings, NoProgress())
        url = settings.required("api_url")
        token = httpx.post(f"{url}/auth/token", data={"username": "ana", "password": PASSWORD}).json()["access_token"]
        until_ready(url)
        yield Api(settings, url, str(token), spec)


def make_champion(settings: Settings, spec: ModelSpec, *, seed: int) -> None:
    """Register heads that differ by ``seed`` and no more than an update of training makes them."""
    state = initial_state(spec, LazyTowers(spec.preset))
    if seed:
        name = next(iter(state))
        state = {**state, name: state[name] * (1 + 0.01 * seed)}
    tracker = Tracker(settings.required("mlflow_uri"))
    with tempfile.TemporaryDirectory() as folder:
        run = tracker.start(FEDERATED_EXPERIMENT, f"seed {seed}", params={})
        seals = Seals.of(settings)
        content_hash = write_model(Path(folder), spec, state, card="For a benchmark.", seals=seals, run=run)
        version = tracker.register(run, Path(folder), tags={"content_hash": content_hash, "preset": spec.preset.name})
    tracker.set_alias(CHAMPION, version)


def until_ready(url: str) -> None:
    """Wait until searches are answered."""
    while not httpx.get(f"{url}/readyz").is_success:
        time.sleep(0.2)


@contextmanager
def bare_route(settings: Settings) -> Iterator[str]:
    """The peer in a process of its own; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "TEJIDO_POSTGRES_DSN": settings.required("postgres_dsn")}
    command = [sys.executable, "-m", "uvicorn", "benchmarks.bare_route:app", "--port", str(port), "--no-access-log"]
    with subprocess.Popen([*command, "--log-level", "warning"], env=environment) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            while True:
                try:
                    httpx.get(f"{url}/search?words=0")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def twenty_hits(body: bytes) -> None:
    """What every answer of both must be."""
    assert body.count(b'"score"') == 20


def throughput(api: Api, seconds: float) -> tuple[list[float], list[float], list[float], float]:
    """Queries/s of GraphQL, the bare route and REST in turns, and the median seconds of a lone cached search."""
    ours = [
        post(f"{api.url}/graphql", {"query": QUERY, "variables": {"text": w}}, api.token, twenty_hits) for w in WORDS
    ]
    for words in WORDS:
        api.ask(words)
    alone = as_fast_as_possible(ours, connections=1, seconds=seconds / 2)
    twins = [
        get(f"{api.url}/v1/search?{urlencode({'text': words, 'first': 20})}", api.token, twenty_hits) for words in WORDS
    ]
    graphql, bare, rest = [], [], []
    with bare_route(api.settings) as url:
        theirs = [get(f"{url}/search?words={number}", "", twenty_hits) for number in range(len(WORDS))]
        as_fast_as_possible(theirs, connections=4, seconds=1)
        for _ in range(TURNS):
            graphql.append(right(as_fast_as_possible(ours, connections=4, seconds=seconds)).per_second)
            bare.append(right(as_fast_as_possible(theirs, connections=4, seconds=seconds)).per_second)
            rest.append(right(as_fast_as_possible(twins, connections=4, seconds=seconds)).per_second)
    return graphql, bare, rest, alone.quantile(0.5)


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
        graphql, bare, rest, alone_s = throughput(api, options.seconds)
        ratios = [ours / theirs for ours, theirs in zip(graphql, bare, strict=True)]
        ours = [
            post(f"{api.url}/graphql", {"query": QUERY, "variables": {"text": w}}, api.token, twenty_hits)
            for w in WORDS
        ]
        steady = [
            right(at_rate(ours, per_second=0.7 * statistics.median(graphql), seconds=options.seconds))
            for _ in range(TURNS)
        ]
        spread = [run.quantile(0.99) / run.quantile(0.5) for run in steady]
        swapped, versions = swaps(api)
    figures: Mapping[str, Any] = {
        "graphql_per_s": graphql, "bare_per_s": bare, "rest_per_s": rest, "alone_ms": 1e3 * alone_s,
        "at_70_percent": [{"p50_ms": 1e3 * r.quantile(0.5), "p99_ms": 1e3 * r.quantile(0.99)} for r in steady],
        "swap": {"answers": len(swapped.latencies), "failures": swapped.failures[:5], "versions": versions,
                 "p99_ms": 1e3 * swapped.quantile(0.99)},
    }  # fmt: skip
    report(
        "serving",
        __doc__ or "",
        shown=table(
            ("turn", "GraphQL/s", "bare/s", "ratio", "/v1/search/s", "ratio", "p50 ms at 70 %", "p99 ms", "p99 / p50"),
            [
                (turn + 1, f"{graphql[turn]:.0f}", f"{bare[turn]:.0f}", f"{ratios[turn]:.2f}",
                 f"{rest[turn]:.0f}", f"{graphql[turn] / rest[turn]:.2f}",
                 f"{1e3 * steady[turn].quantile(0.5):.1f}", f"{1e3 * steady[turn].quantile(0.99):.1f}",
                 f"{spread[turn]:.1f}")
                for turn in range(TURNS)
            ],
        )
        + f"\n{len(swapped.latencies)} answers by {versions} index versions while two were built and three swapped",
        figures=figures,
        bars=[
            Bar("GraphQL against a bare route", 0.75, statistics.median(ratios), is_floor=True),
            Bar("p99 / p50 at 70 % of saturation", 3, statistics.median(spread)),
            Bar("ms of a lone search whose words are known (p50)", 15, 1e3 * alone_s),
            Bar("failed or mixed answers during swaps", 0, len(swapped.failures)),
            Bar("index versions that answered", 3, versions, is_floor=True),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
