"""The models in the registry, the index versions, and how many clients are online."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client.core import Metric

from core.settings import Settings
from server.flower import Flower, Node
from server.index_status import index_status
from server.monitoring.gauges import gauge, gauges, seconds_of

if TYPE_CHECKING:
    from server.tracking import ModelVersion, Tracker

INDEX_STATES = ("building", "verified", "live", "retired")


@dataclass
class Models:
    """Reads the aliases of the registered model, and what their runs measured on test."""

    settings: Settings
    name: str = "models"
    every_s: float = 30.0
    _tracker: Tracker | None = None

    def read(self) -> Iterable[Metric]:
        """The versions that have an alias."""
        # MLflow takes seconds to import: the other sources shall not wait for it.
        from server.tracking import CHALLENGER, CHAMPION, PREVIOUS, Tracker

        tracker = self._tracker = self._tracker or Tracker.of(self.settings)
        versions = {alias: tracker.find(alias) for alias in (CHAMPION, CHALLENGER, PREVIOUS)}
        found = {alias: version for alias, version in versions.items() if version}
        return model_gauges({alias: (version, tracker.metrics(version.run_id)) for alias, version in found.items()})


def model_gauges(found: Mapping[str, tuple[ModelVersion, Mapping[str, float]]]) -> Iterable[Metric]:
    """Alias → its version and the metrics of its run."""
    named = {(alias, version.version, version.preset): 1.0 for alias, (version, _) in found.items()}
    yield gauges("model_info", "1 for each alias of the registry.", ("alias", "version", "preset"), named)
    made = {(alias,): version.created_at_ms / 1000 for alias, (version, _) in found.items()}
    yield gauges("model_created_timestamp_seconds", "When the version was registered.", ("alias",), made)
    for name, metric in (("recall_at_10", "test_recall_at_10"), ("zero_shot_recall_at_10", "zero_shot_recall_at_10")):
        values = {(alias,): metrics[metric] for alias, (_, metrics) in found.items() if metric in metrics}
        meaning = "Recall@10 on test." if name == "recall_at_10" else "The same before any training."
        yield gauges(f"model_{name}", meaning, ("alias",), values)


@dataclass
class Indexes:
    """Reads the index versions in PostgreSQL."""

    settings: Settings
    name: str = "index"
    every_s: float = 15.0

    def read(self) -> Iterable[Metric]:
        """All versions, and the live one."""
        return index_gauges(index_status(self.settings))


def index_gauges(status: Mapping[str, Any]) -> Iterable[Metric]:
    """What `index_status` found."""
    states = Counter(version["state"] for version in status["versions"])
    yield gauges("index_versions", "Index versions by state.", ("state",), {(s,): states[s] for s in INDEX_STATES})
    no_version: dict[str, Any] = {}
    live = next((found for found in status["versions"] if found["version"] == status["live"]), no_version)
    yield gauge("index_live_version", "The version that answers queries.", status["live"])
    yield gauge("index_live_products", "Products in it.", live.get("products"))
    yield gauge("index_live_recall_at_10", "Its recall@10 against exact search.", live.get("recall_at_10"))
    yield gauge("index_live_timestamp_seconds", "When it went live.", seconds_of(live.get("live_at")))


@dataclass
class Nodes:
    """Asks the SuperLink for its nodes; each time that starts a Python process, so it is asked seldom."""

    flower: Flower
    name: str = "superlink"
    every_s: float = 60.0

    def read(self) -> Iterable[Metric]:
        """How many are online."""
        return node_gauges(self.flower.nodes())


def node_gauges(nodes: Iterable[Node]) -> Iterable[Metric]:
    """What `Flower.nodes` found."""
    states = Counter("online" if node.status == "online" else "offline" for node in nodes)
    samples = {(state,): float(states[state]) for state in ("online", "offline")}
    yield gauges("supernodes", "Registered SuperNodes by whether they are online.", ("state",), samples)


def flower_of(settings: Settings) -> Flower:
    """The SuperLink that the settings name."""
    return Flower.of(settings)
