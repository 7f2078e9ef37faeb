"""What a private run has spent, and whether its next round may begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from catalog.objects import ObjectStore
from federation.config import FederationConfig
from federation.privacy.accountant import Ledger
from server.checkpoints import RunFolder
from server.errors import PrivacyBudgetExhausted, RunDiffers
from server.sealing import Seals


@dataclass(frozen=True)
class PrivacyBudget:
    """What the rounds of one private run cost, and how much they may cost together."""

    config: FederationConfig

    @classmethod
    def of(cls, config: FederationConfig) -> PrivacyBudget | None:
        """The budget of a run; None where it is not private."""
        return cls(config) if config.is_private else None

    def spent(self, ledger: Ledger, folder: RunFolder, *, rounds: int) -> Ledger:
        """What has been paid for: the complete rounds, and each sum of the next one that may have been known already.

        Args:
            ledger: of the complete rounds.
            folder: of the run.
            rounds: how many are complete.
        """
        return self.after_round(ledger, times=folder.unmaskings(rounds + 1))

    def require_round(self, ledger: Ledger) -> None:
        """Insist that one more round fits, before anybody is asked for an update; `spent` gives the ledger before it.

        Raises:
            PrivacyBudgetExhausted: it does not.
        """
        if not self.allows_round(ledger):
            epsilon = self.epsilon(self.after_round(ledger))
            raise PrivacyBudgetExhausted(
                f"{ledger.rounds} rounds have cost epsilon {self.epsilon(ledger):.3g}; one more would bring it to "
                f"{epsilon:.3g} at delta {self.config.delta:g}, the budget is {self.config.epsilon_budget:g}.",
                hint="In a new run: more noise-multiplier, fewer rounds, or a larger epsilon-budget.",
            )

    def allows_round(self, ledger: Ledger) -> bool:
        """Whether one more round fits."""
        return self.epsilon(self.after_round(ledger)) <= self.config.epsilon_budget

    def after_round(self, ledger: Ledger, *, times: int = 1) -> Ledger:
        """The ledger after one more round: each sum of it that was known is charged."""
        for _ in range(times):
            ledger = ledger.after(self.config.noise_multiplier)
        return ledger

    def epsilon(self, ledger: Ledger) -> float:
        """What a ledger comes to at the run's delta."""
        return ledger.epsilon(self.config.delta)

    def told(self, ledger: Ledger) -> dict[str, Any]:
        """For a run's result: what it promises, and all that is needed to compute it again, or to go on from it."""
        config = self.config
        return {
            "mode": config.privacy,
            # By the coordinator to the sum, or by each client to its own update.
            "noise": "shares" if config.is_confidential else "central",
            "epsilon": self.epsilon(ledger),
            "delta": config.delta,
            "noise_multiplier": config.noise_multiplier,
            "clip_norm": config.clip_norm,
            "epsilon_budget": config.epsilon_budget,
            "rounds": ledger.rounds,
            "ledger": ledger.as_list(),
        }


def told_privacy(config: FederationConfig, ledger: Ledger) -> dict[str, Any]:
    """What a run's result says of its privacy."""
    budget = PrivacyBudget.of(config)
    return budget.told(ledger) if budget else {"mode": config.privacy}


def privacy_tags(told: dict[str, Any]) -> dict[str, str]:
    """What a model version's tags say of `told_privacy`; nothing of a run that was not private."""
    names = ("epsilon", "delta", "noise_multiplier", "clip_norm")
    return {name: f"{told[name]:.6g}" for name in names if name in told}


def spent_before(store: ObjectStore, config: FederationConfig, seals: Seals | None = None) -> Ledger:
    """What the completed run that ``config.start_from`` names has spent; empty where it names none.

    Its model is in this run's from the start, so what it cost is part of what this run costs.

    Raises:
        RunDiffers: this run shall be private, and that one was not: what it has learned is not protected by noise.
        ArtifactRefused: its result is not what was written.
    """
    if not config.is_private or not config.start_from:
        return Ledger()
    folder = RunFolder(store, config.start_from, seals)
    told = (folder.believed_result() or {}).get("privacy", {})
    if "ledger" not in told:
        raise RunDiffers(
            f"Run {folder.name} was not private, so nothing that starts from it is.",
            hint="Start from a private run, or from the base model.",
        )
    return Ledger.from_list(told["ledger"])
