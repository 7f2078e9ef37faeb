"""The types of the operators' queries about runs: a run, its rounds, and who took part."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import strawberry

from api.schema.permissions import operable

if TYPE_CHECKING:
    from server import run_views


@strawberry.type(description="One client that was chosen for a round.")
class RoundClient:
    """A client in a round."""

    name: str = operable(description="Its name.")
    fate: str = operable(description="accepted: its update counts; rejected; or silent: none came.")
    reason: str = operable(description="Why its update does not count, or why there is none; else empty.")
    norm: float | None = operable(description="Norm of its update.")
    recall_at_10: float | None = operable(
        name="recallAt10", description="Recall@10 of its own held-out titles after the round."
    )
    trained: int = operable(description="Products that it trained on.")
    held: int = operable(description="Products that it holds.")
    bytes_up: float = operable(description="Bytes of tensors from it.")
    bytes_down: float = operable(description="Bytes of tensors to it.")

    @classmethod
    def of(cls, found: run_views.ClientInRound) -> RoundClient:
        """The same, as GraphQL shows it."""
        return cls(
            name=found.name,
            fate=found.fate,
            reason=found.reason,
            norm=found.norm,
            recall_at_10=found.recall_at_10,
            trained=found.trained,
            held=found.held,
            bytes_up=found.bytes_up,
            bytes_down=found.bytes_down,
        )


@strawberry.type(description="One round; of one that goes on only its number is known.")
class Round:
    """A round of a run."""

    round: int = operable(description="Its number, from 1.")
    state: str = operable(description="complete or running.")
    recall_at_10: float | None = operable(
        name="recallAt10", description="Recall@10 on val after the round: the curve to draw."
    )
    recall_at_1: float | None = operable(name="recallAt1", description="Recall@1 on val after the round.")
    mrr: float | None = operable(description="Mean reciprocal rank on val after the round.")
    loss: float | None = operable(description="Mean loss over the products that were trained on.")
    asked: int = operable(description="Clients that were asked.")
    replies: int = operable(description="Updates that count.")
    rejected: int = operable(description="Updates that do not count.")
    late: int = operable(description="Updates that came after the deadline and were dropped.")
    attempts: int = operable(description="How often the round was tried.")
    bytes_up: float = operable(description="Bytes of tensors from clients.")
    bytes_down: float = operable(description="Bytes of tensors to clients.")
    seconds: float | None = operable(description="Time that it took.")
    ended_at: datetime | None = operable(description="When it was complete.")
    clients: list[RoundClient] = operable(description="Who was chosen, and what came of each.")

    @classmethod
    def of(cls, found: run_views.RoundView) -> Round:
        """The same, as GraphQL shows it."""
        report = found.report
        return cls(
            round=found.round,
            state=found.state,
            recall_at_10=found.figure("recall_at_10"),
            recall_at_1=found.figure("recall_at_1"),
            mrr=found.figure("mrr"),
            loss=found.figure("loss"),
            asked=report.asked if report else 0,
            replies=report.replies if report else 0,
            rejected=report.rejected if report else 0,
            late=report.late if report else 0,
            attempts=report.attempts if report else 0,
            bytes_up=report.bytes_up if report else 0,
            bytes_down=report.bytes_down if report else 0,
            seconds=found.figure("seconds"),
            ended_at=datetime.fromisoformat(report.ended_at) if report and report.ended_at else None,
            clients=[RoundClient.of(client) for client in found.clients],
        )


@strawberry.type(description="What one client gave to a run, over all its rounds so far.")
class Contribution:
    """A client's part in a run."""

    client: str = operable(description="Its name.")
    products: int = operable(description="Products that it holds.")
    trained: int = operable(description="Of these, how many it trained on last.")
    rounds: int = operable(description="Rounds for which it was chosen.")
    accepted: int = operable(description="Rounds in which its update counted.")
    rejected: int = operable(description="Rounds in which its update did not count.")
    silent: int = operable(description="Rounds in which none came.")
    bytes_up: float = operable(description="Bytes of tensors from it.")
    bytes_down: float = operable(description="Bytes of tensors to it.")
    norm: float | None = operable(description="Norm of its last update that counted.")
    recall_at_10: float | None = operable(
        name="recallAt10", description="Recall@10 of its own held-out titles after the last round."
    )
    reasons: list[str] = operable(description="Why updates did not count, the last ones.")

    @classmethod
    def of(cls, found: run_views.ClientContribution) -> Contribution:
        """The same, as GraphQL shows it."""
        return cls(
            client=found.name,
            products=found.products,
            trained=found.trained,
            rounds=found.rounds,
            accepted=found.accepted,
            rejected=found.rejected,
            silent=found.silent,
            bytes_up=found.bytes_up,
            bytes_down=found.bytes_down,
            norm=found.norm,
            recall_at_10=found.recall_at_10,
            reasons=list(found.reasons),
        )


@strawberry.type(description="A federated run.")
class Run:
    """A run, by the last word of its coordinator."""

    id: str = operable(description="Its id, as `tejido federation status` takes it.")
    state: str = operable(description="running, completed, failed, or silent: it has said nothing for an hour.")
    is_running: bool = operable(description="Whether it goes on.")
    stage: str = operable(description="starting, waiting, preflight, encoding, rounds, testing, completed, failed.")
    message: str = operable(description="What it said last.")
    told_at: datetime | None = operable(description="When it said so.")
    waiting_for: list[str] = operable(description="Clients whose replies it waits for.")
    error: str | None = operable(description="Why it failed.")
    planned_rounds: int | None = operable(description="Rounds that it shall have.")
    preset: str | None = operable(description="The model that is trained.")
    strategy: str | None = operable(description="How updates are put together.")
    trainable: str | None = operable(description="What is trained: heads, lora or full.")
    catalogue_version: str | None = operable(description="The catalogue that it learns from.")
    chosen_round: int | None = operable(description="The round whose state became the model version.")
    model_version: str | None = operable(description="The model version that it ended with.")
    recall_at_10: float | None = operable(name="recallAt10", description="Recall@10 on test of that model version.")
    zero_shot_recall_at_10: float | None = operable(
        name="zeroShotRecallAt10", description="The same before any training."
    )
    rounds: list[Round] = operable(description="In their order; the last one may be running.")
    contributions: list[Contribution] = operable(description="Of each client that was chosen for a round.")

    @classmethod
    def of(cls, found: run_views.RunView) -> Run:
        """The same, as GraphQL shows it."""
        status, result, config = found.status, found.result, found.config
        recall, error, told = result.get("recall_at_10", {}), status.get("error"), status.get("at")
        version = result.get("mlflow", {}).get("version")
        return cls(
            id=found.id,
            state=found.state,
            is_running=found.state == "running",
            stage=str(status.get("stage", "")),
            message=str(status.get("message", "")),
            told_at=datetime.fromisoformat(told) if told else None,
            waiting_for=list(status.get("waiting_for") or ()) if found.state == "running" else [],
            error=f"{error['message']} [{error['code']}]" if error else None,
            planned_rounds=config.get("rounds"),
            **{name: _text(config.get(name)) for name in ("preset", "strategy", "trainable")},
            catalogue_version=found.catalogue_version,
            chosen_round=result.get("chosen_round"),
            model_version=_text(version),
            recall_at_10=recall.get("challenger"),
            zero_shot_recall_at_10=recall.get("zero_shot"),
            rounds=[Round.of(entry) for entry in found.rounds],
            contributions=[Contribution.of(client) for client in found.contributions()],
        )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
