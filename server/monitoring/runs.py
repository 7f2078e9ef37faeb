"""All runs by how they ended, and the last one: where it is, and what each of its rounds came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import Metric

from catalog.objects import ObjectStore
from server.checkpoints import RunFolder
from server.monitoring.clients import client_gauges
from server.monitoring.gauges import gauge, gauges, seconds_of
from server.reports import RoundReport
from server.run_list import STATES, RunList, Status, state_of

STAGES = ("starting", "waiting", "preflight", "encoding", "rounds", "testing", "completed", "failed")
MAX_ROUNDS = 100
"""Of the last run, the latest: each has a dozen series."""


@dataclass
class Runs:
    """Reads the statuses in the bucket of checkpoints."""

    store: ObjectStore
    name: str = "runs"
    every_s: float = 10.0

    def __post_init__(self) -> None:
        self._list = RunList(self.store)

    def read(self) -> Iterable[Metric]:
        """Of all runs their number, of the last one everything."""
        statuses = self._list.statuses()
        yield from outcome_gauges(statuses.values(), datetime.now(UTC))
        if not statuses:
            return
        last = self._list.newest_first()[0]
        folder = RunFolder(self.store, last)
        about = folder.about()
        yield from run_gauges(last, folder.status() or {}, about.config if about else {}, folder.result())


def outcome_gauges(statuses: Iterable[Status], now: datetime) -> Iterator[Metric]:
    """How many runs are in which state."""
    states = Counter(state_of(status, now) for status in statuses)
    yield gauges("runs", "Runs by state.", ("state",), {(state,): states[state] for state in STATES})


def run_gauges(run: str, status: Status, config: Mapping[str, Any], result: dict[str, Any] | None) -> Iterator[Metric]:
    """The last run."""
    reports = [RoundReport.from_dict(entry) for entry in status.get("rounds", ())]
    named = (run, *(str(config.get(key, "")) for key in ("preset", "strategy", "trainable")))
    yield gauges("run_info", "1 for the last run.", ("run", "preset", "strategy", "trainable"), {named: 1})
    stage = status.get("stage")
    yield gauges("run_stage", "1 for its stage.", ("stage",), {(name,): name == stage for name in STAGES})
    yield gauge("run_rounds", "Rounds that it shall have.", config.get("rounds"))
    yield gauge("run_rounds_complete", "Rounds that are complete.", len(reports))
    yield gauge("run_told_timestamp_seconds", "When it said something last.", seconds_of(status.get("at")))
    recall = (result or {}).get("recall_at_10", {})
    on_test = {(model,): recall[model] for model in ("zero_shot", "challenger") if model in recall}
    yield gauges("run_test_recall_at_10", "Recall@10 on test, of its end and of its start.", ("model",), on_test)
    yield from round_gauges(reports[-MAX_ROUNDS:])
    yield from client_gauges(reports, waited_for=status.get("waiting_for") or (), stage=str(stage))


def round_gauges(reports: list[RoundReport]) -> Iterator[Metric]:
    """Each round of the last run."""
    of_one = {
        "recall_at_10": "Recall@10 on val after the round.",
        "recall_at_1": "Recall@1 on val after the round.",
        "mrr": "Mean reciprocal rank on val after the round.",
        "loss": "Mean loss over the products that were trained on.",
        "seconds": "Time that the round took.",
        "overhead_seconds": "Of that, neither the slowest client's training nor the evaluation.",
        "attempts": "How often the round was tried.",
        "asked": "Clients that were asked.",
    }
    for name, meaning in of_one.items():
        values = {(str(report.round),): float(getattr(report, name)) for report in reports}
        yield gauges(f"round_{name}", meaning, ("round",), values)
    updates: dict[tuple[str, str], float] = {}
    travelled: dict[tuple[str, str], float] = {}
    for report in reports:
        number = str(report.round)
        counts = (("accepted", report.replies), ("rejected", report.rejected))
        missing = (("silent", len(report.silent)), ("late", report.late))
        updates |= {(number, outcome): float(count) for outcome, count in (*counts, *missing)}
        travelled |= {(number, "up"): float(report.bytes_up), (number, "down"): float(report.bytes_down)}
    yield gauges("round_updates", "Updates by what became of them.", ("round", "outcome"), updates)
    yield gauges("round_bytes", "Bytes of tensors that travelled.", ("round", "direction"), travelled)
