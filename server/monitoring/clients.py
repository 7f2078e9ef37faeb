"""How each client of the last run fares: what became of its updates, how much travelled, when it was heard last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from prometheus_client.core import Metric

from server.monitoring.gauges import gauges
from server.reports import RoundReport, client_of

OUTCOMES = ("accepted", "rejected", "silent", "late")
OVER = ("completed", "failed")


def client_gauges(reports: Sequence[RoundReport], *, waited_for: Iterable[str], stage: str) -> Iterator[Metric]:
    """Over all rounds so far, or as they were in the last round in which the client took part."""
    clients = sorted({name for report in reports for name in (*report.traffic, *report.coverage, *_missing(report))})
    waited = set() if stage in OVER else set(waited_for)
    everybody = sorted({*clients, *waited})
    of_client = ("client",)
    waiting = {(name,): float(name in waited) for name in everybody}
    yield gauges("client_waited_for", "1 while the last run waits for it.", of_client, waiting)
    # With zeros: a client that never was rejected says so.
    updates = Counter({(name, outcome): 0 for name in everybody for outcome in OUTCOMES})
    updates.update(outcome for report in reports for outcome in _outcomes(report))
    yield gauges("client_updates", "Its updates by what became of them.", ("client", "outcome"), updates)
    travelled: Counter[tuple[str, ...]] = Counter()
    heard: dict[tuple[str, ...], float] = {}
    norms: dict[tuple[str, ...], float] = {}
    recall: dict[tuple[str, ...], float] = {}
    products: dict[tuple[str, ...], float] = {}
    for report in reports:
        for name, traffic in report.traffic.items():
            travelled.update({(name, direction): traffic[direction] for direction in ("up", "down")})
        if report.ended_at:
            ended = datetime.fromisoformat(report.ended_at).timestamp()
            heard |= {(name,): ended for name in (*report.accepted, *map(client_of, report.rejections))}
        norms |= {(name,): norm for name, norm in report.norms.items()}
        recall |= {(name,): value for name, value in report.recall_by_client.items()}
        for name, held in report.coverage.items():
            products |= {(name, "held"): held["held"], (name, "trained"): held["trained"]}
    yield gauges("client_bytes", "Bytes of tensors to and from it.", ("client", "direction"), travelled)
    yield gauges("client_heard_timestamp_seconds", "End of the last round that it answered.", of_client, heard)
    yield gauges("client_update_norm", "Norm of its last update that counted.", of_client, norms)
    yield gauges("client_recall_at_10", "Recall@10 of its own titles of val.", of_client, recall)
    yield gauges("client_products", "Products that it holds, and trained on.", ("client", "state"), products)


def _outcomes(report: RoundReport) -> Iterator[tuple[str, str]]:
    yield from ((name, "accepted") for name in report.accepted)
    yield from ((client_of(entry), "rejected") for entry in report.rejections)
    yield from ((client_of(entry), "silent") for entry in report.silent)
    yield from ((name, "late") for name in report.late_clients)


def _missing(report: RoundReport) -> Iterator[str]:
    yield from map(client_of, (*report.rejections, *report.silent))
