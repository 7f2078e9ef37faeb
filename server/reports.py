"""What one round came to, as people, MLflow and the demo's report read it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from federation.evaluation import Retrieval
    from server.rounds import Outcome

METRICS = (
    "loss", "asked", "replies", "rejected", "refused", "late", "attempts",
    "bytes_up", "bytes_down", "seconds", "overhead_seconds",
)  # fmt: skip
LISTS = ("rejections", "silent", "late_clients")
POLICY_CODES = ("[security.policy_refused]", "[security.policy_invalid]", "[security.contract_unreadable]")
"""As refusals end that are a client's own word; see `server.exchange.read_reply`."""
ATTEMPT = re.compile(r"attempt \d+: ")


@dataclass(frozen=True)
class RoundReport:
    """What one round came to; field names are those of the demo's report."""

    round: int
    recall_at_10: float
    recall_at_1: float
    mrr: float
    replies: int
    """Updates that count."""
    rejected: int
    bytes_up: int
    """As sent, rejected updates included."""
    bytes_down: int
    """As sent: the state, once to each client and attempt."""
    seconds: float
    loss: float
    rejections: tuple[str, ...] = ()
    """``client: reason``."""
    asked: int = 0
    silent: tuple[str, ...] = ()
    """``client: reason`` of those that were asked and sent nothing in time."""
    late: int = 0
    """Replies of this or an earlier round that came after their deadline and were dropped."""
    attempts: int = 1
    overhead_seconds: float = 0.0
    """Of ``seconds``, what neither the slowest client's training nor the evaluation took."""
    norms: dict[str, float] = field(default_factory=dict)
    """Client → norm of the update that counted."""
    coverage: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Client → products ``trained`` on, products ``held``, ``skipped``: its reasons with their numbers."""

    recall_by_client: dict[str, float] = field(default_factory=dict)
    """Client → recall@10 of its own held-out titles of val."""
    late_clients: tuple[str, ...] = ()
    """Whose replies were late, one name a reply."""
    traffic: dict[str, dict[str, int]] = field(default_factory=dict)
    """Client → bytes ``up`` and ``down``; their sums are `bytes_up` and `bytes_down`."""
    ended_at: str = ""
    """ISO 8601, in UTC; "" in reports of older runs."""
    refused: int = 0
    """Of ``rejected`` in the last attempt, those whose own policy refused: each reason names the rule."""
    contributions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Client → what came of it, as `Contribution` names it; each that was chosen."""
    masking: dict[str, Any] = field(default_factory=dict)
    """Of a confidential round: the threshold, how many were left after each stage, who dropped out at which."""
    epsilon: float | None = None
    """What a private run has cost up to and with this round, at its delta; None: it is not private."""

    @property
    def accepted(self) -> tuple[str, ...]:
        """Whose updates count; in a confidential round nobody knows their norms."""
        return tuple({**self.norms, **self.coverage})

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), **{name: list(getattr(self, name)) for name in LISTS}}

    def summary(self) -> dict[str, Any]:
        """For JSON that is written often or read by people: without each client's contribution, which MLflow shows."""
        return {name: value for name, value in self.as_dict().items() if name != "contributions"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RoundReport:
        """Read what `as_dict` gave."""
        return cls(**{**values, **{name: tuple(values.get(name, ())) for name in LISTS}})

    def metrics(self) -> dict[str, float]:
        """What MLflow shows of it as curves."""
        recall = {"val_recall_at_1": self.recall_at_1, "val_recall_at_10": self.recall_at_10, "val_mrr": self.mrr}
        by_client = {f"val_recall_at_10/{client}": value for client, value in self.recall_by_client.items()}
        spent = {} if self.epsilon is None else {"epsilon": self.epsilon}
        return recall | by_client | spent | {name: float(getattr(self, name)) for name in METRICS}


def client_of(entry: str) -> str:
    """Whom a rejection or a silence of a report is about: ``[attempt n: ]client: reason``."""
    return ATTEMPT.sub("", entry, count=1).partition(":")[0]


def round_report(
    round_number: int,
    outcome: Outcome,
    val: Retrieval,
    *,
    recall_by_client: dict[str, float],
    seconds: float,
    evaluation_s: float,
    epsilon: float | None = None,
) -> RoundReport:
    """The report of a round that took ``seconds`` in all, ``evaluation_s`` of them for the evaluation on val."""
    total = outcome.total
    contributions = total.contributions
    return RoundReport(
        round=round_number,
        recall_at_10=val.recall_at_10,
        recall_at_1=val.recall_at_1,
        mrr=val.mrr,
        replies=total.replies,
        rejected=len(outcome.rejections),
        bytes_up=total.bytes_up,
        bytes_down=outcome.bytes_down,
        seconds=round(seconds, 2),
        loss=total.loss,
        rejections=tuple(outcome.rejections),
        asked=outcome.asked,
        silent=tuple(total.silent),
        late=len(outcome.late),
        attempts=outcome.attempts,
        # A client that claims more than the round took would make the overhead negative.
        overhead_seconds=round(max(0.0, seconds - evaluation_s - total.slowest_s), 2),
        norms=dict(total.norms),
        coverage={name: asdict(found) for name, found in total.coverage.items()},
        recall_by_client=recall_by_client,
        late_clients=tuple(outcome.late),
        traffic={name: {"up": found.bytes_up, "down": outcome.sent_to[name]} for name, found in contributions.items()},
        ended_at=datetime.now(UTC).isoformat(timespec="seconds"),
        contributions={
            name: replace(found, bytes_down=outcome.sent_to[name]).as_dict() for name, found in contributions.items()
        },
        masking=dict(total.masking),
        epsilon=epsilon,
        refused=sum(any(code in found.reason for code in POLICY_CODES) for found in contributions.values()),
    )


def run_totals(result: dict[str, Any]) -> dict[str, float]:
    """Traffic and time of the whole run."""
    return {
        f"total_{name}": float(sum(entry[name] for entry in result["rounds"]))
        for name in ("bytes_up", "bytes_down", "seconds")
    }


def retrieval_metrics(retrieval: Retrieval, prefix: str) -> dict[str, float]:
    """What MLflow is told of a search among all products of a split."""
    return {
        f"{prefix}_recall_at_1": retrieval.recall_at_1,
        f"{prefix}_recall_at_10": retrieval.recall_at_10,
        f"{prefix}_mrr": retrieval.mrr,
        f"{prefix}_gallery": retrieval.gallery,
    }
