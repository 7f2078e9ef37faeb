"""Every metric that the platform exposes, from the code itself: each has been given a sample of every label."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from prometheus_client.core import Metric

from api.live_model import LoadedModel
from api.metrics import ApiMetrics
from catalog.index import IndexVersion
from server.flower import Node
from server.monitoring.exporter import Exporter
from server.monitoring.runs import outcome_gauges, run_gauges
from server.monitoring.services import index_gauges, model_gauges, node_gauges
from server.tracking import ModelVersion
from tests.unit.api.fakes import FakeEncoder
from tests.unit.server.results import run_result

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
VERSION = ModelVersion("fashion-clip", "3", "run", "", "lite", "v1", ("champion",), 1_000, {})
INDEX = IndexVersion(2, "fashion-clip", "3", "", "v1", 8, "live", 120, 0.99, NOW, NOW)


@dataclass(frozen=True)
class Described:
    """One metric as documentation lists it."""

    name: str
    kind: str
    labels: frozenset[str]
    samples: frozenset[str]
    """Names by which queries can ask for it."""


def all_metrics() -> list[Described]:
    """Those of the API, then those of the exporter."""
    return [described(family) for family in chain(of_the_api(), of_the_exporter())]


def described(family: Metric) -> Described:
    """Counters are named as queries name them."""
    assert family.samples, f"{family.name} has no sample here, so its labels are not known"
    labels = frozenset(label for sample in family.samples for label in sample.labels) - {"le"}
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return Described(name, family.type, labels, frozenset(sample.name for sample in family.samples))


def of_the_api() -> Iterable[Metric]:
    """Without those of the process, which Prometheus' own client names."""
    metrics = ApiMetrics()
    metrics.request("GET", "/", 200, 0.1)
    with metrics.operation("allFiles"):
        metrics.search("text", 0.1, route="exact")
    metrics.query_vector(was_cached=True)
    metrics.encoded_together("text", 2)
    metrics.error("api.not_found")
    metrics.session_revoked("used")
    metrics.watch(lambda: LoadedModel(INDEX, FakeEncoder()), dict)
    return [family for family in metrics.families() if family.name.startswith("tejido_")]


def of_the_exporter() -> Iterator[Metric]:
    """Of a run that is complete, with a champion and an index."""
    entries = run_result()["rounds"]
    traffic = {"aurora": {"up": 1, "down": 1}}
    coverage = {"aurora": {"trained": 9, "held": 10, "skipped": {}}}
    seen = {"loss": 1.0, "traffic": traffic, "coverage": coverage, "ended_at": NOW.isoformat()}
    status = {"stage": "completed", "at": NOW.isoformat(), "rounds": [entry | seen for entry in entries]}
    exporter = Exporter([Everything()])
    exporter.refresh()
    yield from exporter.collect()
    yield from outcome_gauges([status], NOW)
    yield from run_gauges("run-1", status, {"rounds": 3}, run_result())
    live = {"version": 2, "state": "live", "products": 9, "recall_at_10": 1.0, "live_at": NOW.isoformat()}
    yield from index_gauges({"live": 2, "versions": [live]})
    recall = {"test_recall_at_10": 0.1, "zero_shot_recall_at_10": 0.05}
    yield from model_gauges({"champion": (VERSION, recall)})
    yield from node_gauges([Node("1", "online")])


@dataclass(frozen=True)
class Everything:
    """A source without anything in it, so that the exporter speaks of itself."""

    name: str = "everything"
    every_s: float = 1.0

    def read(self) -> Iterable[Metric]:
        return ()
