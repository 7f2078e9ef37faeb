"""One federated run as operators look at it: where it is, its rounds, and what each client gave."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from server.checkpoints import RunFolder
from server.contributions import Fate
from server.reports import ATTEMPT, RoundReport, client_of
from server.run_list import RunState, Status, state_of

MAX_REASONS = 5


@dataclass(frozen=True)
class ClientInRound:
    """One client that was chosen for a round."""

    name: str
    fate: Fate
    reason: str = ""
    """Why its update does not count, or why there is none."""
    norm: float | None = None
    recall_at_10: float | None = None
    """Of its own held-out titles of val, after the round."""
    trained: int = 0
    held: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


@dataclass(frozen=True)
class RoundView:
    """One round; of one that goes on only the number is known."""

    round: int
    state: Literal["complete", "running"]
    report: RoundReport | None
    clients: tuple[ClientInRound, ...] = ()

    def figure(self, name: str) -> float | None:
        """A figure of the report; None while there is none, or where it is no number."""
        value = float(getattr(self.report, name)) if self.report else math.nan
        return None if math.isnan(value) else value


@dataclass(frozen=True)
class ClientContribution:
    """What one client gave to a run, over all its rounds so far."""

    name: str
    products: int
    """That it holds, as it said last."""
    trained: int
    accepted: int
    rejected: int
    silent: int
    """Rounds in which it was chosen, by what came of it."""
    bytes_up: int
    bytes_down: int
    norm: float | None
    """Of its last update that counted."""
    recall_at_10: float | None
    reasons: tuple[str, ...]
    """Why updates did not count, the last ones."""

    @property
    def rounds(self) -> int:
        """In which it was chosen."""
        return self.accepted + self.rejected + self.silent


@dataclass(frozen=True)
class RunView:
    """A run, from its folder alone: that can be read while MLflow is away."""

    id: str
    state: RunState
    status: Status
    config: Mapping[str, Any]
    catalogue_version: str | None
    result: Mapping[str, Any]
    """Empty until the run is completed."""
    rounds: tuple[RoundView, ...]

    def contributions(self) -> list[ClientContribution]:
        """Of every client that was chosen for a round, in the order of their names."""
        seen = [(entry.round, client) for entry in self.rounds for client in entry.clients]
        return [_total(name, [e for e in seen if e[1].name == name]) for name in sorted({c.name for _, c in seen})]


def view(folder: RunFolder, now: datetime) -> RunView | None:
    """The run of a folder; None where there is none."""
    status, about = folder.status(), folder.about()
    if status is None:
        return None
    state = state_of(status, now)
    reports = [RoundReport.from_dict(entry) for entry in status.get("rounds", ())]
    rounds = [RoundView(report.round, "complete", report, clients_of(report)) for report in reports]
    if state == "running" and status.get("stage") == "rounds" and len(rounds) < (status.get("total") or 0):
        rounds.append(RoundView(len(rounds) + 1, "running", None))
    return RunView(
        id=folder.name,
        state=state,
        status=status,
        config=about.config if about else {},
        catalogue_version=about.catalogue_version if about else None,
        result=(folder.result() or {}) if state == "completed" else {},
        rounds=tuple(rounds),
    )


def clients_of(report: RoundReport) -> tuple[ClientInRound, ...]:
    """Who was chosen for a round, and what came of each, in the order of their names."""
    fates: dict[str, tuple[Fate, str]] = {}
    told: tuple[tuple[Fate, Iterable[str]], ...] = (("silent", report.silent), ("rejected", report.rejections))
    for fate, entries in told:
        fates |= {client_of(entry): (fate, ATTEMPT.sub("", entry, count=1).partition(": ")[2]) for entry in entries}
    # Last: who was rejected in a first attempt may have been accepted in the second.
    fates |= dict.fromkeys(report.accepted, ("accepted", ""))
    return tuple(_client(report, name, *fates[name]) for name in sorted(fates))


def _client(report: RoundReport, name: str, fate: Fate, reason: str) -> ClientInRound:
    covered, traffic = report.coverage.get(name, {}), report.traffic.get(name, {})
    return ClientInRound(
        name=name,
        fate=fate,
        reason=reason,
        norm=report.norms.get(name),
        recall_at_10=report.recall_by_client.get(name),
        trained=covered.get("trained", 0),
        held=covered.get("held", 0),
        bytes_up=traffic.get("up", 0),
        bytes_down=traffic.get("down", 0),
    )


def _total(name: str, rounds: Sequence[tuple[int, ClientInRound]]) -> ClientContribution:
    fates = Counter(client.fate for _, client in rounds)
    reasons = [f"round {number}: {client.reason}" for number, client in rounds if client.reason]
    clients = [client for _, client in rounds]
    return ClientContribution(
        name=name,
        products=_last([client.held or None for client in clients]) or 0,
        trained=_last([client.trained or None for client in clients]) or 0,
        accepted=fates["accepted"],
        rejected=fates["rejected"],
        silent=fates["silent"],
        bytes_up=sum(client.bytes_up for client in clients),
        bytes_down=sum(client.bytes_down for client in clients),
        norm=_last([client.norm for client in clients]),
        recall_at_10=_last([client.recall_at_10 for client in clients]),
        reasons=tuple(reasons[-MAX_REASONS:]),
    )


def _last(values: Sequence[Any]) -> Any:
    return next((value for value in reversed(values) if value is not None), None)
