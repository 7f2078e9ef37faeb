"""One run for each client below the run of the federation, with that client's own curves.

Rounds may last a second and clients may be many, so the curves are not logged round by round: all that is new goes in
one request a client, when the last time is long enough ago that this takes two percent of the run at most. What a
coordinator that was killed had not logged yet lies in its checkpoint, and is logged when the run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from server.contributions import Contribution
from server.errors import TrackingUnreachable
from server.reports import RoundReport
from server.tracking import Point, Run

CLIENT = "client"
"""The tag with the client's name."""
REASONS = "reasons"
"""The tag that says why its updates did not count."""
EACH_ROUND = "accepted"
"""Logged for every round in which the client was chosen."""
AT_LEAST_S = 10.0
TIMES_ITS_COST = 50
MAX_REASONS = 20
log = structlog.get_logger(__name__)


class Tracking(Protocol):
    """What is needed of `server.tracking.Tracker`."""

    def nested(self, parent: str) -> list[Run]:
        """The runs below a run."""

    def start_nested(self, parent: str, name: str, *, tags: Mapping[str, str]) -> str:
        """A new one."""

    def go_on(self, run_id: str) -> None:
        """Show it as running again."""

    def steps(self, run_id: str, metric: str) -> set[int]:
        """The steps at which a metric was logged."""

    def log_points(self, run_id: str, points: Sequence[Point], *, tags: Mapping[str, str] | None = None) -> None:
        """Log points of any steps."""

    def end(self, run_id: str, *, status: str = "FINISHED") -> None:
        """Close it."""


@dataclass
class _ClientRun:
    run_id: str
    logged: set[int] = field(default_factory=set)
    """Rounds."""


@dataclass
class ClientRuns:
    """The nested runs of one federated run."""

    tracker: Tracking
    parent: str
    _runs: dict[str, _ClientRun] | None = None
    _reports: Sequence[RoundReport] = ()
    _ended_ms: dict[int, int] = field(default_factory=dict)
    _logged_at: float = field(default_factory=time.monotonic)
    _cost_s: float = 0.0

    def note(self, reports: Sequence[RoundReport]) -> None:
        """Take in all rounds so far; logs them only when the last time is long enough ago."""
        self._reports = reports
        for report in reports:
            self._ended_ms.setdefault(report.round, int(time.time() * 1000))
        if time.monotonic() - self._logged_at >= max(AT_LEAST_S, TIMES_ITS_COST * self._cost_s):
            self.flush()

    def flush(self) -> None:
        """Log what was not logged yet."""
        began = time.monotonic()
        if self._runs is None:
            self._runs = self._known()
        for client in sorted({name for report in self._reports for name in report.contributions}):
            if client not in self._runs:
                run_id = self.tracker.start_nested(self.parent, client, tags={CLIENT: client})
                self._runs[client] = _ClientRun(run_id)
            self._log(client, self._runs[client])
        self._logged_at = time.monotonic()
        self._cost_s = self._logged_at - began

    def end(self, status: str) -> None:
        """Log the rest and close them."""
        self.flush()
        for run in (self._runs or {}).values():
            self.tracker.end(run.run_id, status=status)

    def _known(self) -> dict[str, _ClientRun]:
        """Those of a run that goes on."""
        found = {}
        for run in self.tracker.nested(self.parent):
            self.tracker.go_on(run.run_id)
            found[run.tags[CLIENT]] = _ClientRun(run.run_id, self.tracker.steps(run.run_id, EACH_ROUND))
        return found

    def _log(self, client: str, run: _ClientRun) -> None:
        new = [r for r in self._reports if client in r.contributions and r.round not in run.logged]
        points = [point for report in new for point in self._points(client, report)]
        if points:
            points += self._totals(client, points[-1])
            self.tracker.log_points(run.run_id, points, tags=self._reasons(client))
            run.logged |= {report.round for report in new}

    def _points(self, client: str, report: RoundReport) -> Iterator[Point]:
        values = Contribution(**report.contributions[client]).metrics()
        if client in report.recall_by_client:
            values["val_recall_at_10"] = report.recall_by_client[client]
        for name, value in values.items():
            yield Point(name, value, report.round, self._ended_ms[report.round])

    def _totals(self, client: str, last: Point) -> Iterator[Point]:
        """Of all rounds so far: what MLflow's table of runs shows is the last value."""
        of_client = [r.contributions[client] for r in self._reports if client in r.contributions]
        totals = {name: sum(entry[name] for entry in of_client) for name in ("bytes_up", "bytes_down", "seconds")}
        totals |= {
            fate: sum(entry["fate"] == fate for entry in of_client) for fate in ("accepted", "rejected", "silent")
        }
        for name, value in totals.items():
            yield Point(f"total_{name}", float(value), last.step, last.at_ms)

    def _reasons(self, client: str) -> dict[str, str]:
        """Curves cannot say why an update did not count."""
        told = [(report.round, report.contributions.get(client, {}).get("reason")) for report in self._reports]
        lines = [f"round {number}: {reason}" for number, reason in told if reason]
        return {REASONS: "\n".join(lines[-MAX_REASONS:])} if lines else {}


@contextmanager
def client_runs(tracker: Tracking, parent: str) -> Iterator[ClientRuns]:
    """The nested runs, whole and closed afterwards; as failed where the block fails."""
    runs = ClientRuns(tracker, parent)
    try:
        yield runs
    except BaseException:
        try:
            runs.end("FAILED")
        except TrackingUnreachable as error:
            # What failed first is what counts; the checkpoint has what is missing here.
            log.warning("the clients' MLflow runs could not be closed", error=str(error))
        raise
    runs.end("FINISHED")
