"""Which model versions a client took part in: by its runs in MLflow, and through runs that others started from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from server.client_runs import CLIENT
from server.tracking import ModelVersion, Run


class Tracking(Protocol):
    """What is needed of `server.tracking.Tracker`."""

    def versions(self) -> list[ModelVersion]:
        """Every model version."""

    def run(self, run_id: str) -> Run:
        """One run."""

    def nested(self, parent: str) -> list[Run]:
        """The runs below a run."""


@dataclass(frozen=True)
class Part:
    """A client's part in one model version."""

    version: str
    aliases: tuple[str, ...]
    run_key: str
    accepted: int
    """Rounds in which its update counted."""
    rejected: int
    inherited_from: str
    """Key of the run that this one started from, where the client's part lies in that; "" where it does not."""


def parts_of(tracker: Tracking, client: str) -> list[dict[str, Any]]:
    """Every registered model version that holds something which a client's update changed, or in which it tried.

    Cost: two requests to MLflow for each version.
    """
    runs = {version.version: tracker.run(version.run_id) for version in tracker.versions()}
    counts = {number: _rounds(tracker, run, client) for number, run in runs.items()}
    started = {_key(run): str(run.params.get("start-from") or "") for run in runs.values()}
    touched = {_key(runs[number]) for number, (accepted, _) in counts.items() if accepted}
    parts = []
    for version in tracker.versions():
        run, (accepted, rejected) = runs[version.version], counts[version.version]
        ancestor = _ancestor(_key(run), started, touched)
        if accepted or rejected or ancestor:
            parts.append(Part(version.version, tuple(version.aliases), _key(run), accepted, rejected, ancestor))
    return [asdict(part) for part in parts]


def _rounds(tracker: Tracking, run: Run, client: str) -> tuple[int, int]:
    own = [entry.metrics for entry in tracker.nested(run.run_id) if entry.tags.get(CLIENT) == client]
    accepted, rejected = (int(sum(m.get(f"total_{fate}", 0) for m in own)) for fate in ("accepted", "rejected"))
    return accepted, rejected


def _ancestor(key: str, started: dict[str, str], touched: set[str]) -> str:
    """The nearest run before this one in which the client's updates counted."""
    seen = {key}
    earlier = started.get(key, "")
    while earlier and earlier not in seen:
        if earlier in touched:
            return earlier
        seen.add(earlier)
        earlier = started.get(earlier, "")
    return ""


def _key(run: Run) -> str:
    return str(run.tags.get("run_key") or run.run_id)
