"""The rounds of one run, from wherever it stands to the last.

Within a round the order is: train, combine, evaluate, checkpoint, then MLflow. So a round that is repeated was never
logged, and one that is complete but was not logged is logged when the run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from federation.evaluation import Retrieval
from federation.privacy.accountant import Ledger
from federation.tensors import Tensors
from server.checkpoints import Checkpoint, RunFolder
from server.errors import PrivacyBudgetExhausted
from server.memory import Memory
from server.privacy import PrivacyBudget
from server.reports import RoundReport, round_report
from server.rounds import Rounds
from server.telling import Teller

ROUNDS_FILE = "rounds.json"
ROUND_METRIC = "replies"
"""Logged once in every round."""
log = structlog.get_logger(__name__)


class Evaluator(Protocol):
    """The coordinator's view of the catalogue."""

    def evaluate(self, state: Tensors, split: str) -> Retrieval:
        """How well a state ranks it for the titles of a split."""

    def recall_by_client(self, retrieval: Retrieval, split: str) -> dict[str, float]:
        """The same for each client's own titles."""


class Tracking(Protocol):
    """Where curves and reports are kept for people."""

    def log(self, run_id: str, metrics: Mapping[str, float], *, step: int) -> None:
        """All metrics of a step."""

    def log_json(self, run_id: str, name: str, value: Any) -> None:
        """A file of the run."""

    def steps(self, run_id: str, metric: str) -> set[int]:
        """The steps at which a metric was logged."""


@dataclass
class Course:
    """Plays the rounds that are left."""

    rounds: Rounds
    evaluator: Evaluator
    folder: RunFolder
    tracker: Tracking
    tracking_run: str
    teller: Teller
    on_round: Callable[[Sequence[RoundReport]], None] = lambda _: None
    """Told of all rounds so far whenever there is one more."""
    budget: PrivacyBudget | None = None
    """Of a private run."""
    spent: Ledger = field(default_factory=Ledger)
    """Before the first round, by the run that this one starts from."""
    _before: Checkpoint | None = field(default=None, init=False)
    """The round that is played."""
    ended_early: str = field(default="", init=False)
    """Why not all rounds were played; "" where they were."""

    def run(self, initial: Tensors, last: Checkpoint | None) -> Checkpoint:
        """Go on after ``last`` (None: begin from ``initial``) and return the checkpoint of the last round.

        That is an earlier one than was asked for where the budget of a private run is used up: see `ended_early`. Its
        ledger then counts what may have been known of the round after it, too.

        Raises:
            QuorumMissed: a round failed; what is complete is kept.
            PrivacyBudgetExhausted: the budget does not allow one round.
        """
        if last is not None:
            self.rounds.strategy.load_state_dict(last.optimiser)
            self._log_what_is_missing(last)
            self.on_round(last.reports)
        self.rounds.before_unmasking = self._pay
        current = last or Checkpoint(initial, {}, Memory(), (), best_round=0, ledger=self.spent)
        while current.round < self.teller.total:
            try:
                self._require(current)
                current = self._round(current)
            except PrivacyBudgetExhausted as exhausted:
                # Before the round, or in it: attempts at it whose sum may have been known are paid for, too.
                if not current.round:
                    raise
                return self._ended(current, exhausted.message)
        return current

    def _ended(self, current: Checkpoint, reason: str) -> Checkpoint:
        self.ended_early = reason
        log.warning("the privacy budget is used up", rounds=current.round, reason=reason)
        self.teller.say("rounds", message=f"ends after round {current.round}: {reason}")
        return replace(current, ledger=self._spent(current))

    def _round(self, before: Checkpoint) -> Checkpoint:
        number, began = before.round + 1, time.monotonic()
        self.teller.say("rounds", message=f"round {number} begins")
        self._before = before
        outcome = self.rounds.play(before.state, before.memory, round_number=number)
        state, memory = outcome.total.new_state(), outcome.total.memory()
        combined = time.monotonic()
        val = self.evaluator.evaluate(state, "val")
        now = time.monotonic()
        times = max(1, self.folder.unmaskings(number)) if self.budget else 1
        ledger = self.budget.after_round(before.ledger, times=times) if self.budget else before.ledger
        report = round_report(
            number,
            outcome,
            val,
            recall_by_client=self.evaluator.recall_by_client(val, "val"),
            seconds=now - began,
            evaluation_s=now - combined,
            epsilon=self.budget.epsilon(ledger) if self.budget else None,
        )
        after = Checkpoint(
            state=state,
            optimiser=self.rounds.strategy.state_dict(),
            memory=memory,
            reports=(*before.reports, report),
            best_round=_best(before, report),
            ledger=ledger,
        )
        self.folder.commit(after)
        self._log(report, after.reports)
        self.on_round(after.reports)
        self.teller.reports.append(report)
        counts = {"replies": report.replies, "rejected": report.rejected, "silent": len(report.silent)}
        log.info("a round is complete", round=number, recall_at_10=report.recall_at_10, **counts)
        self.teller.say("rounds", message=f"recall@10 {val.recall_at_10:.3f} on val")
        return after

    def _spent(self, current: Checkpoint) -> Ledger:
        return self.budget.spent(current.ledger, self.folder, rounds=current.round) if self.budget else current.ledger

    def _require(self, current: Checkpoint) -> None:
        """Raise PrivacyBudgetExhausted unless a sum of the next round may be known, or another one of it."""
        if self.budget is not None:
            self.budget.require_round(self._spent(current))

    def _pay(self, number: int) -> None:
        """Charge a confidential round before its sum is known: a coordinator that is killed then has had it."""
        if self.budget is not None and self._before is not None:
            self._require(self._before)
            self.folder.note_unmasking(number)

    def _log(self, report: RoundReport, reports: tuple[RoundReport, ...]) -> None:
        # Curves cannot say why an update was refused. The file comes first: the metrics say that both are there.
        self.tracker.log_json(self.tracking_run, ROUNDS_FILE, [entry.as_dict() for entry in reports])
        self.tracker.log(self.tracking_run, report.metrics(), step=report.round)

    def _log_what_is_missing(self, last: Checkpoint) -> None:
        """Log the rounds that were complete before their metrics had reached MLflow."""
        logged = self.tracker.steps(self.tracking_run, ROUND_METRIC)
        for report in last.reports:
            if report.round not in logged:
                self._log(report, last.reports)


def _best(before: Checkpoint, report: RoundReport) -> int:
    """The round that was best on val so far, the earlier one where two are equal."""
    if not before.best_round or report.recall_at_10 > before.reports[before.best_round - 1].recall_at_10:
        return report.round
    return before.best_round
