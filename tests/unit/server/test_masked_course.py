"""A confidential run whose coordinator is killed anywhere goes on to the same state; a private one has paid as much."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from federation.config import FederationConfig
from federation.privacy.accountant import Ledger
from server.about import About
from server.checkpoints import Checkpoint, RunFolder
from server.course import Course
from server.exchange import REVEALING
from server.privacy import PrivacyBudget
from server.telling import Teller
from tests.unit.server.federation import RUN
from tests.unit.server.masked import CONFIG, EXPECTED, STATE, Market
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

    def go(self, fuse: Fuse) -> tuple[str, Checkpoint]:
        """Run or go on as a new coordinator; the hash of the final state, and its checkpoint."""
        config = self.config
        folder = RunFolder(FusedStore(self.root / "store", fuse), RUN)
        folder.take_over()
        folder.begin(About(config.to_run_config(), EXPECTED.catalogue_version, EXPECTED.base_hash))
        last = folder.last()
        teller = Teller(folder, config.rounds, list(last.reports) if last else [], last.round if last else None)
        self.tracker.fuse = fuse
        rounds = self.market.rounds(config)
        course = Course(rounds, FusedEvaluator(fuse), folder, self.tracker, "mlflow-run", teller)
        course.budget = PrivacyBudget.of(config)
        final = course.run(STATE, last)
        return folder.state_sha256(final.round), final


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
    budget = (Ledger(((2.0, 2),)).epsilon(PRIVATE.delta) + Ledger(((2.0, 3),)).epsilon(PRIVATE.delta)) / 2
    platform = Platform(tmp_path, dataclasses.replace(PRIVATE, epsilon_budget=budget))
    whole = Fuse()
    Platform(tmp_path / "undisturbed", PRIVATE).go(whole)
    with pytest.raises(Killed):
        platform.go(Fuse(kill_at=whole.steps.index("evaluation")))
    final = platform.go(Fuse())[1]
    assert (final.round, final.ledger.rounds) == (1, 2)
