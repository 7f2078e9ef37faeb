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
        return folder.state_sha256(config.rounds), final


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


def test_private_one_has_spent_what_an_undisturbed_one_has(tmp_path: Path) -> None:
    whole = Fuse()
    Platform(tmp_path / "undisturbed", PRIVATE).go(whole)
    for point in range(0, len(whole.steps), 5):
        platform = Platform(tmp_path / f"killed-{point}", PRIVATE)
        with pytest.raises(Killed):
            platform.go(Fuse(kill_at=point))
        _, final = platform.go(Fuse())
        assert final.ledger == Ledger(((2.0, 2),))
        assert final.reports[-1].epsilon == final.ledger.epsilon(PRIVATE.delta)
