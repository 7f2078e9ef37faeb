"""How long do hostile queries take, and what does a neighbour notice of them?

The API as `tejido up` starts it, over real products, is sent each request of tests/attacks/api/hostile.py. A neighbour
searches at a fixed rate, alone and beside an attacker who sends them all in turn, each as soon as the last is answered;
the two are taken in turns, within one run.

1. The answer to each: the median of five tries, in milliseconds.
2. What three rounds of all of them leave behind: growth of the API's resident memory.
3. The neighbour's p99 beside the attacker, against its p99 alone; and beside somebody with good intentions who asks the
   plainest query there is, each as soon as the last is answered, to see what is the attacker's doing and what is that
   another program keeps the machine's cores busy.
Usage: python -m benchmarks.hostile_queries [--products 3000] [--seconds 10] [--rate 20] [--preset lite]
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import psutil

from benchmarks.inprocess import SOURCE
from benchmarks.load import Answers, at_rate
from benchmarks.reporting import Bar, report, table
from benchmarks.served import Api, running
from tests.attacks.api.hostile import CORPUS

TRIES = 5
ROUNDS = 3
TURNS = 3
SHOWN = 12
READY_S = 3.0
PLAIN = json.dumps({"query": "{ __typename }"})
SLOWEST_MS = 100
GROWTH_MB = 50
P99_RATIO = 2


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default=SOURCE)
    parser.add_argument("--products", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--preset", default="lite")
    options = parser.parse_args()
    with running(options.source, options.products, options.preset) as api, attacker_of(api.url, api.token) as attacker:
        answers = timed(attacker)
        grown = growth(api, attacker)
        alone, beside, busy = neighbours(api, options.rate, options.seconds)
    slowest = dict(sorted(answers.items(), key=lambda item: -item[1]))
    ratio = beside.quantile(0.99) / alone.quantile(0.99)
    report(
        "hostile_queries",
        __doc__ or "",
        shown=table(["request", "ms"], [(name, f"{ms:.1f}") for name, ms in itertools.islice(slowest.items(), SHOWN)])
        + f"\nneighbour, ms: alone {quantiles(alone)}, beside an attacker {quantiles(beside)}, beside somebody busy "
        f"{quantiles(busy)}",
        figures={
            "median_ms": {name: round(ms, 2) for name, ms in slowest.items()},
            "growth_mb": round(grown, 1),
            "neighbour_alone_ms": quantiles(alone),
            "neighbour_beside_ms": quantiles(beside),
            "neighbour_beside_busy_ms": quantiles(busy),
            "neighbour_failures": len(alone.failures) + len(beside.failures) + len(busy.failures),
        },
        bars=[
            Bar("slowest answer, ms", SLOWEST_MS, round(next(iter(slowest.values())), 1)),
            Bar("growth of memory, MB", GROWTH_MB, round(grown, 1)),
            Bar("a neighbour's p99 beside an attacker, against alone", P99_RATIO, round(ratio, 2)),
        ],
    )


@contextmanager
def attacker_of(url: str, token: str) -> Iterator[httpx.Client]:
    """Somebody with a reader's token and bad intentions."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as http:
        yield http


def timed(attacker: httpx.Client) -> dict[str, float]:
    """Median milliseconds of each request."""
    found = {}
    for name, body in CORPUS.items():
        seconds = []
        for _ in range(TRIES):
            began = time.perf_counter()
            attacker.post("/graphql", content=body)
            seconds.append(time.perf_counter() - began)
        found[name] = statistics.median(seconds) * 1000
    return found


def growth(api: Api, attacker: httpx.Client) -> float:
    """Megabytes that the API holds more after some rounds of the corpus."""
    process = listener(api.url)
    before = process.memory_info().rss
    for body in itertools.chain.from_iterable(itertools.repeat(tuple(CORPUS.values()), ROUNDS)):
        attacker.post("/graphql", content=body)
    return float(process.memory_info().rss - before) / 2**20


def listener(url: str) -> psutil.Process:
    """The process behind a URL of this machine."""
    port = httpx.URL(url).port
    for found in psutil.net_connections("tcp"):
        if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port and found.pid:
            return psutil.Process(found.pid)
    raise LookupError(f"nothing listens at {url}")


def neighbours(api: Api, rate: float, seconds: float) -> tuple[Answers, Answers, Answers]:
    """Searches of somebody else: alone, beside the attacker, beside somebody busy; in turns, all in the same hour."""
    asked = api.searches(lambda _: lambda body: json.loads(body)["data"]["searchByText"]["edges"][0])
    alone, beside, busy = Answers(), Answers(), Answers()
    for _ in range(TURNS):
        add(alone, at_rate(asked, per_second=rate, seconds=seconds))
        for whole, bodies in ((beside, tuple(CORPUS.values())), (busy, (PLAIN,))):
            with asking(api, bodies):
                add(whole, at_rate(asked, per_second=rate, seconds=seconds))
    return alone, beside, busy


def add(whole: Answers, part: Answers) -> None:
    """Put the answers of one turn to those of the turns before."""
    whole.seconds += part.seconds
    whole.latencies += part.latencies
    whole.failures += part.failures


@contextmanager
def asking(api: Api, bodies: Sequence[str | bytes]) -> Iterator[None]:
    """These over and over, until the block ends; by another process, or the neighbour would wait for that, too."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=ask, args=(api.url, api.token, bodies), daemon=True)
    process.start()
    try:
        # It has imported what it needs, and begun.
        time.sleep(READY_S)
        assert process.is_alive()
        yield
    finally:
        process.terminate()
        process.join()


def ask(url: str, token: str, bodies: Sequence[str | bytes]) -> None:
    """Each request as soon as the one before is answered."""
    with attacker_of(url, token) as attacker:
        for body in itertools.cycle(bodies):
            attacker.post("/graphql", content=body)


def quantiles(answers: Answers) -> dict[str, float]:
    """Milliseconds."""
    return {f"p{share}": round(answers.quantile(share / 100) * 1000, 2) for share in (50, 90, 99)}


if __name__ == "__main__":
    main()
