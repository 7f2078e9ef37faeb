"""A private run: what counts in it, when it ends, and that its account survives whatever happens to the coordinator."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from catalog.objects import DirectoryStore
from federation.config import FederationConfig
from federation.errors import FederationConfigError
from federation.privacy.accountant import Ledger
from federation.tensors import Tensors
from server.about import About
from server.checkpoints import Checkpoint, RunFolder
from server.course import Course
from server.errors import ClientsMissing, PrivacyBudgetExhausted, QuorumMissed, RunDiffers
from server.memory import Memory
from server.privacy import PrivacyBudget, privacy_tags, spent_before, told_privacy
from server.reports import RoundReport
from server.selection import sample, wanted_clients
from server.telling import Teller
from tests.unit.server.federation import (
    CONFIG,
    EXPECTED,
    NAMES,
    RUN,
    STATE,
    constant,
    describing,
    one_round,
    roster,
    rounds,
    silent,
    training,
    update,
)
from tests.unit.server.grid import FakeGrid
from tests.unit.server.test_course import Fuse, FusedEvaluator, FusedTracker, Killed

DELTA = 1e-5
PRIVATE = dataclasses.replace(
    CONFIG, rounds=4, privacy="client-level", clip_norm=0.5, noise_multiplier=2.0, epsilon_budget=6.0, delta=DELTA
)
HONEST = {number: training(name) for number, name in NAMES.items()}
PRICES = [Ledger(((2.0, number),)).epsilon(DELTA) for number in range(1, 8)]
"""Of the first rounds."""


@dataclasses.dataclass
class Platform:
    """What outlives a coordinator."""

    root: Path
    config: FederationConfig = PRIVATE
    grid: FakeGrid = dataclasses.field(default_factory=lambda: FakeGrid(dict(HONEST), NAMES))
    tracker: FusedTracker = dataclasses.field(default_factory=lambda: FusedTracker(Fuse()))

    def go(self, fuse: Fuse, *, spent: Ledger | None = None) -> tuple[Checkpoint, Course]:
        """Run, or go on, as a new coordinator."""
        folder = RunFolder(DirectoryStore(self.root), RUN)
        folder.take_over()
        folder.begin(About(self.config.to_run_config(), "v1", "b" * 64))
        last = folder.last()
        teller = Teller(folder, self.config.rounds, list(last.reports) if last else [], last.round if last else None)
        self.tracker.fuse = fuse
        played = rounds(self.grid, config=self.config)
        course = Course(played, FusedEvaluator(fuse), folder, self.tracker, "mlflow-run", teller)
        course.budget, course.spent = PrivacyBudget.of(self.config), spent or Ledger()
        return course.run(STATE, last), course

    def logged(self) -> list[tuple[int, float]]:
        """Round and ε of each word to MLflow."""
        return [(step, metrics["epsilon"]) for step, metrics in self.tracker.logged]


def test_each_round_s_price_is_in_its_report_in_mlflow_and_in_the_checkpoint(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    final, course = platform.go(Fuse())
    assert [report.epsilon for report in final.reports] == PRICES[:4]
    assert platform.logged() == list(enumerate(PRICES[:4], start=1))
    assert final.ledger == Ledger(((2.0, 4),))
    assert course.ended_early == ""
    status = course.folder.status()
    assert status is not None
    assert [entry["epsilon"] for entry in status["rounds"]] == PRICES[:4]


def test_run_that_is_killed_and_goes_on_has_spent_what_an_undisturbed_one_has(tmp_path: Path) -> None:
    whole = Fuse()
    Platform(tmp_path / "undisturbed").go(whole)
    for point, step in enumerate(whole.steps):
        platform = Platform(tmp_path / f"killed-{point}")
        with pytest.raises(Killed):
            platform.go(Fuse(kill_at=point))
        final, _ = platform.go(Fuse())
        assert final.ledger == Ledger(((2.0, 4),)), step
        assert sorted(platform.logged()) == list(enumerate(PRICES[:4], start=1)), step


def test_round_that_is_too_dear_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    budget = (PRICES[1] + PRICES[2]) / 2
    platform = Platform(tmp_path, dataclasses.replace(PRIVATE, epsilon_budget=budget))
    final, course = platform.go(Fuse())
    assert (final.round, final.reports[-1].epsilon) == (2, PRICES[1])
    # Three clients, two rounds; of the third not one message.
    assert len(platform.grid.pushed) == 6
    assert f"one more would bring it to {PRICES[2]:.3g}" in course.ended_early
    status = course.folder.status()
    assert status is not None
    assert "ends after round 2" in status["message"]
    # Nor does it go on when it is resumed: the budget is not another one.
    again, resumed = platform.go(Fuse())
    assert again.round == 2
    assert resumed.ended_early == course.ended_early
    assert len(platform.grid.pushed) == 6


def test_budget_that_is_exactly_met_is_not_exceeded(tmp_path: Path) -> None:
    final, course = Platform(tmp_path, dataclasses.replace(PRIVATE, epsilon_budget=PRICES[3])).go(Fuse())
    assert (final.round, course.ended_early) == (4, "")


def test_budget_without_one_round_in_it_refuses_the_run(tmp_path: Path) -> None:
    platform = Platform(tmp_path, dataclasses.replace(PRIVATE, epsilon_budget=0.1))
    with pytest.raises(PrivacyBudgetExhausted, match=r"0 rounds have cost epsilon 0; .* the budget is 0\.1") as caught:
        platform.go(Fuse())
    assert platform.grid.pushed == []
    assert caught.value.code == "server.privacy_budget_exhausted"


def test_round_that_was_tried_again_is_paid_once(tmp_path: Path) -> None:
    """What an attempt without a quorum added up is never published."""
    platform = Platform(tmp_path, dataclasses.replace(PRIVATE, rounds=1, round_retries=1))
    tries = iter([False, True])
    platform.grid.nodes[2] = lambda message: HONEST[2](message) if next(tries) else None
    final, _ = platform.go(Fuse())
    assert (final.reports[0].attempts, final.ledger.rounds) == (2, 1)


def test_update_beyond_the_clip_norm_does_not_count_and_one_within_does_however_long_others_are() -> None:
    config = dataclasses.replace(PRIVATE, round_retries=0)

    def of_length(length: float) -> Any:
        return update(constant(length / np.sqrt(37)), held=10)

    long = of_length(0.51)
    with pytest.raises(QuorumMissed, match=r"aurora: Its norm is 0\.51, at most 0\.5 is accepted"):
        one_round(long, HONEST[2], HONEST[3], config=config)
    # Fifty times the pace of the others: neither refused nor a reason to play the round again.
    tiny = (of_length(0.49), training("boreal"), update(constant(1e-5), held=30))
    for memory in (Memory(), Memory(paces=(1e-4,) * 10)):
        outcome = one_round(*tiny, config=config, memory=memory)
        assert (outcome.total.replies, outcome.attempts) == (3, 1)


def test_whether_an_update_counts_does_not_depend_on_another_s() -> None:
    """In a run that is not private the second of two equal updates is a replay."""
    same = [update(constant(0.01), held=held) for held in (10, 20, 30)]
    assert one_round(*same, config=PRIVATE).total.replies == 3
    with pytest.raises(QuorumMissed, match="boreal: The same update was accepted before"):
        one_round(*same, config=CONFIG)


def test_two_updates_are_too_few() -> None:
    with pytest.raises(QuorumMissed, match="2 of 3 updates count, 3 are needed"):
        one_round(HONEST[1], HONEST[2], silent, config=dataclasses.replace(PRIVATE, quorum=0.1))


def test_run_about_two_clients_is_refused_at_once_and_with_two_online_does_not_begin() -> None:
    with pytest.raises(FederationConfigError, match="about 2 clients, a private one needs 3"):
        wanted_clients(dataclasses.replace(PRIVATE, clients="aurora,cobre"), EXPECTED.products)
    two = {node: describing(name) for node, name in NAMES.items() if name != "cobre"}
    with pytest.raises(ClientsMissing, match="at least 3"):
        roster(FakeGrid(two, NAMES), config=PRIVATE).gather()


def test_sample_holds_three_clients_at_least() -> None:
    names = [f"client-{number}" for number in range(9)]
    assert len(sample(names, dataclasses.replace(PRIVATE, sample=0.1), 1)) == 3


def finished(store: DirectoryStore, config: FederationConfig, ledger: Ledger) -> None:
    """A completed run called `earlier`."""
    folder = RunFolder(store, "earlier")
    folder.take_over()
    folder.finish({"chosen_round": 1, "privacy": told_privacy(config, ledger)})


def test_run_that_starts_from_another_pays_for_what_that_one_learned(tmp_path: Path) -> None:
    store, earlier = DirectoryStore(tmp_path / "store"), Ledger(((1.5, 3),))
    finished(store, dataclasses.replace(PRIVATE, noise_multiplier=1.5), earlier)
    spent = spent_before(store, dataclasses.replace(PRIVATE, start_from="earlier"))
    assert spent == earlier
    config = dataclasses.replace(PRIVATE, rounds=1, epsilon_budget=20.0)
    final, _ = Platform(tmp_path / "run", config).go(Fuse(), spent=spent)
    assert final.ledger == Ledger(((1.5, 3), (2.0, 1)))
    assert final.reports[0].epsilon == final.ledger.epsilon(DELTA) > earlier.epsilon(DELTA)


def test_private_run_cannot_start_from_one_that_was_not(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    finished(store, CONFIG, Ledger())
    with pytest.raises(RunDiffers, match="was not private"):
        spent_before(store, dataclasses.replace(PRIVATE, start_from="earlier"))
    assert spent_before(store, dataclasses.replace(CONFIG, start_from="earlier")) == Ledger()
    assert spent_before(store, PRIVATE) == Ledger()


def test_checkpoint_of_a_release_without_privacy_has_spent_nothing(tmp_path: Path) -> None:
    folder = RunFolder(DirectoryStore(tmp_path), RUN)
    folder.take_over()
    report = RoundReport(
        round=1, recall_at_10=0.1, recall_at_1=0.1, mrr=0.1, replies=3, rejected=0, bytes_up=1, bytes_down=1,
        seconds=1.0, loss=1.0,
    )  # fmt: skip
    written = Checkpoint(STATE, {}, Memory(), (report,), 1)
    parts = written.parts()
    progress = json.loads(parts["json"])
    del progress["privacy"], progress["reports"][0]["epsilon"]
    old: Any = dataclasses.make_dataclass("Old", [])()
    old.round, old.best_round = 1, 1
    old.parts = lambda: parts | {"json": json.dumps(progress).encode()}
    folder.commit(old)
    found = folder.last()
    assert found is not None
    assert (found.ledger, found.reports[0].epsilon) == (Ledger(), None)
    assert "epsilon" not in found.reports[0].metrics()


def test_result_and_tags_say_what_is_promised_and_nothing_where_nothing_is() -> None:
    told = told_privacy(PRIVATE, Ledger(((2.0, 4),)))
    assert told == {
        "mode": "client-level", "noise": "central", "epsilon": PRICES[3], "delta": 1e-5, "noise_multiplier": 2.0,
        "clip_norm": 0.5, "epsilon_budget": 6.0, "rounds": 4, "ledger": [[2.0, 4]],
    }  # fmt: skip
    expected = {"epsilon": f"{PRICES[3]:.6g}", "delta": "1e-05", "noise_multiplier": "2", "clip_norm": "0.5"}
    assert privacy_tags(told) == expected
    assert privacy_tags(told_privacy(CONFIG, Ledger())) == {}


def test_state_after_a_private_round_has_noise_of_the_declared_width() -> None:
    state: Tensors = {"x": np.zeros((300, 400), np.float32)}

    def still(message: Message) -> Tensors:
        return state

    nodes = [update(still, held=held) for held in (10, 20, 30)]
    moved = one_round(*nodes, config=PRIVATE, state=state).total.new_state()["x"]
    assert moved.std() == pytest.approx(2.0 * 0.5 / 3, rel=0.01)
