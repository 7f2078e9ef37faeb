"""A confidential run whose coordinator is killed anywhere goes on to the same state; a private one has paid as much."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from flwr.app import Message

from federation.config import FederationConfig
from federation.privacy.accountant import Ledger
from server.about import About
from server.checkpoints import Checkpoint, RunFolder
from server.course import Course
from server.errors import PrivacyBudgetExhausted
from server.exchange import ADVERTISING, REVEALING
from server.privacy import PrivacyBudget
from server.telling import Teller
from tests.unit.server.federation import RUN, crashing
from tests.unit.server.masked import CONFIG, EXPECTED, STATE, Market, Merchant
from tests.unit.server.test_course import Fuse, FusedEvaluator, FusedStore, FusedTracker, Killed

TWO = dataclasses.replace(CONFIG, rounds=2, strategy="fedavgm")
PRIVATE = dataclasses.replace(TWO, privacy="client-level", noise_multiplier=2.0, epsilon_budget=6.0)


@dataclasses.dataclass
class Platform:
    """What outlives a coordinator: its store, its MLflow, and the clients."""

    root: Path
    config: FederationConfig = TWO

    def __post_init__(self) -> None:
        self.market = Market(self.root / "clients")
        self.tracker = FusedTracker(Fuse())
        self.ended_early = ""
        """Why the last coordinator ended before its last round."""

    def store(self, fuse: Fuse) -> FusedStore:
        """Where checkpoints lie."""
        return FusedStore(self.root / "store", fuse)

    def go(self, fuse: Fuse) -> tuple[str, Checkpoint]:
        """Run or go on as a new coordinator; the hash of the final state, and its checkpoint."""
        config = self.config
        folder = RunFolder(self.store(fuse), RUN)
        folder.take_over()
        folder.begin(About(config.to_run_config(), EXPECTED.catalogue_version, EXPECTED.base_hash))
        last = folder.last()
        teller = Teller(folder, config.rounds, list(last.reports) if last else [], last.round if last else None)
        self.tracker.fuse = fuse
        rounds = self.market.rounds(config)
        course = Course(rounds, FusedEvaluator(fuse), folder, self.tracker, "mlflow-run", teller)
        course.budget = PrivacyBudget.of(config)
        final = course.run(STATE, last)
        self.ended_early = course.ended_early
        return folder.state_sha256(final.round), final


def price(sums: int) -> float:
    return Ledger(((PRIVATE.noise_multiplier, sums),)).epsilon(PRIVATE.delta)


PRIVATE_FOR_TWO = dataclasses.replace(PRIVATE, epsilon_budget=(price(2) + price(3)) / 2)
"""Its budget has room for two sums, and not for three."""


def test_run_that_is_killed_at_any_point_and_goes_on_ends_with_the_same_state(tmp_path: Path) -> None:
    """Also between unmasking and checkpoint: the clients help again, as it is the same sum."""
    whole = Fuse()
    expected, _ = Platform(tmp_path / "undisturbed").go(whole)
    assert any(step == "evaluation" for step in whole.steps)
    for point, step in enumerate(whole.steps):
        platform = Platform(tmp_path / f"killed-{point}")
        with pytest.raises(Killed):
            platform.go(Fuse(kill_at=point))
        found, final = platform.go(Fuse())
        assert found == expected, step
        assert [report.masking["revealed"] for report in final.reports] == [5, 5]


def test_private_one_pays_for_each_sum_that_a_coordinator_may_have_known(tmp_path: Path) -> None:
    """Fresh noise each time: two noisy sums of one round tell more than one."""
    whole = Fuse()
    Platform(tmp_path / "undisturbed", PRIVATE).go(whole)
    paid: list[int] = []
    for point in range(0, len(whole.steps), 2):
        platform = Platform(tmp_path / f"killed-{point}", PRIVATE)
        with pytest.raises(Killed):
            platform.go(Fuse(kill_at=point))
        _, final = platform.go(Fuse())
        known = len(platform.market.grid.sent(REVEALING)) / 5
        paid.append(final.ledger.rounds)
        # Killed after it has paid, and before it has asked, it pays for one that it never knew.
        assert known <= final.ledger.rounds <= (known + 1 if "unmasked.json" in whole.steps[point] else known)
        assert final.reports[-1].epsilon == final.ledger.epsilon(PRIVATE.delta)
    assert set(paid) == {2, 3}


def test_budget_is_held_against_sums_of_a_round_that_did_not_come_to_an_end(tmp_path: Path) -> None:
    """Two rounds fit, and three do not: one that was unmasked twice leaves no room for the second round."""
    platform = Platform(tmp_path, PRIVATE_FOR_TWO)
    whole = Fuse()
    Platform(tmp_path / "undisturbed", PRIVATE).go(whole)
    with pytest.raises(Killed):
        platform.go(Fuse(kill_at=whole.steps.index("evaluation")))
    final = platform.go(Fuse())[1]
    assert (final.round, final.ledger.rounds) == (1, 2)


def test_sum_of_a_round_without_a_checkpoint_is_in_the_epsilon_with_which_the_budget_ends_the_run(
    tmp_path: Path,
) -> None:
    """The second round's sum was known when its coordinator was killed; there is no room to play it again."""
    platform, whole = Platform(tmp_path / "run", PRIVATE_FOR_TWO), Fuse()
    Platform(tmp_path / "undisturbed", PRIVATE).go(whole)
    second = [number for number, step in enumerate(whole.steps) if step == "evaluation"][1]
    with pytest.raises(Killed):
        platform.go(Fuse(kill_at=second))
    folder, budget = RunFolder(platform.store(Fuse()), RUN), PrivacyBudget(PRIVATE_FOR_TWO)
    last = folder.last()
    assert last is not None
    assert (last.round, last.ledger.rounds) == (1, 1)
    # What says whether clients are waited for at all.
    assert budget.allows_round(last.ledger)
    assert not budget.allows_round(budget.spent(last.ledger, folder, rounds=1))
    # Whoever looks once more is told the same.
    for _ in range(2):
        _, final = platform.go(Fuse())
        assert (final.round, final.ledger) == (1, Ledger(((2.0, 2),)))
        assert f"have cost epsilon {price(2):.3g}; one more would bring it to {price(3):.3g}" in platform.ended_early
    assert len(platform.market.grid.sent(ADVERTISING)) == 10


def leave_while_they_reveal(market: Market, *, round_number: int) -> None:
    """From this round on three of the five mask, and crash when they are asked to reveal."""
    for name in ("aurora", "boreal", "cobre"):
        merchant = market.merchants[name]

        def answer(message: Message, merchant: Merchant = merchant) -> Message | None:
            if message.content.config_records["config"]["round"] == round_number:
                return crashing(message)
            return merchant.answer(message)

        merchant.gone = {REVEALING: answer}


def test_attempts_that_use_up_the_budget_end_the_run_with_the_rounds_that_it_has(tmp_path: Path) -> None:
    """The second round's first attempt may have been known to who asked; its second does not fit any more."""
    platform = Platform(tmp_path, dataclasses.replace(PRIVATE_FOR_TWO, round_retries=3))
    leave_while_they_reveal(platform.market, round_number=2)
    _, final = platform.go(Fuse())
    assert (final.round, final.ledger) == (1, Ledger(((2.0, 2),)))
    assert f"have cost epsilon {price(2):.3g}; one more would bring it to {price(3):.3g}" in platform.ended_early
    # Nobody was asked to reveal what would be one sum too many: the first round, and one attempt at the second.
    assert len(platform.market.grid.sent(REVEALING)) == 10


def test_attempts_that_use_up_the_budget_before_any_round_is_complete_fail_the_run(tmp_path: Path) -> None:
    platform = Platform(tmp_path, dataclasses.replace(PRIVATE_FOR_TWO, round_retries=3))
    leave_while_they_reveal(platform.market, round_number=1)
    with pytest.raises(PrivacyBudgetExhausted, match="2 rounds have cost"):
        platform.go(Fuse())
