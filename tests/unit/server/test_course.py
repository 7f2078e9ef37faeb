"""A run that is killed anywhere and goes on ends as if nothing had happened."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.objects import DirectoryStore
from federation.evaluation import Retrieval
from federation.tensors import Tensors, to_safetensors
from server.about import About
from server.checkpoints import RunFolder
from server.course import ROUND_METRIC, ROUNDS_FILE, Course
from server.errors import QuorumMissed, RunTakenOver
from server.telling import Teller
from tests.unit.server.federation import CONFIG, NAMES, RUN, STATE, crashing, refusing, rounds, told, training
from tests.unit.server.grid import FakeGrid

CHANGED = dataclasses.replace(CONFIG, rounds=4, strategy="fedadam", server_learning_rate=0.1, sample=0.6)


class Killed(BaseException):
    """What `kill -9` looks like from inside: nothing of the course can catch it."""


class Fuse:
    """Counts the steps at which a coordinator can be killed, and kills at one of them."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.kill_at = kill_at
        self.steps: list[str] = []

    def burn(self, what: str) -> None:
        self.steps.append(what)
        if len(self.steps) - 1 == self.kill_at:
            raise Killed(what)

    def around(self, what: str, call: Callable[[], Any]) -> Any:
        self.burn(f"before {what}")
        found = call()
        self.burn(f"after {what}")
        return found


class FusedStore(DirectoryStore):
    """Kills before or after a put or a delete."""

    def __init__(self, root: Path, fuse: Fuse) -> None:
        super().__init__(root)
        self.fuse = fuse

    def put(self, key: str, data: bytes) -> None:
        if key.endswith("status.json"):
            super().put(key, data)
        else:
            self.fuse.around(f"put of {key}", lambda: DirectoryStore.put(self, key, data))

    def delete(self, key: str) -> None:
        self.fuse.around(f"removal of {key}", lambda: DirectoryStore.delete(self, key))


@dataclasses.dataclass
class FusedTracker:
    """MLflow, as far as a course needs it; outlives the coordinator."""

    fuse: Fuse
    logged: list[tuple[int, Mapping[str, float]]] = dataclasses.field(default_factory=list)
    files: dict[str, Any] = dataclasses.field(default_factory=dict)

    def log(self, run_id: str, metrics: Mapping[str, float], *, step: int) -> None:
        self.fuse.around(f"metrics of {step}", lambda: self.logged.append((step, metrics)))

    def log_json(self, run_id: str, name: str, value: Any) -> None:
        self.fuse.around("file of MLflow", lambda: self.files.__setitem__(name, value))

    def steps(self, run_id: str, metric: str) -> set[int]:
        assert metric == ROUND_METRIC
        return {step for step, _ in self.logged}


@dataclasses.dataclass
class FusedEvaluator:
    """A recall that the state alone decides."""

    fuse: Fuse

    def recall_by_client(self, retrieval: Retrieval, split: str) -> dict[str, float]:
        return {"aurora": retrieval.recall_at_10}

    def evaluate(self, state: Tensors, split: str) -> Retrieval:
        self.fuse.burn("evaluation")
        value = np.array([hashlib.sha256(to_safetensors(state)).digest()[0] / 255.0])
        return Retrieval(10, value, value, value)


@dataclasses.dataclass
class Platform:
    """What is there before, between and after the coordinators of one run."""

    root: Path
    grid: FakeGrid = dataclasses.field(
        default_factory=lambda: FakeGrid({node: training(name) for node, name in NAMES.items()}, NAMES)
    )
    tracker: FusedTracker = dataclasses.field(default_factory=lambda: FusedTracker(Fuse()))

    @property
    def folder(self) -> RunFolder:
        return RunFolder(DirectoryStore(self.root), RUN)

    def go(self, fuse: Fuse) -> str:
        """Run or go on as a new coordinator; returns the hash of the final state."""
        folder = RunFolder(FusedStore(self.root, fuse), RUN)
        folder.take_over()
        folder.begin(About(CHANGED.to_run_config(), "v1", "b" * 64))
        last = folder.last()
        teller = Teller(folder, CHANGED.rounds, list(last.reports) if last else [], last.round if last else None)
        self.tracker.fuse = fuse
        played = rounds(self.grid, config=CHANGED)
        Course(played, FusedEvaluator(fuse), folder, self.tracker, "mlflow-run", teller).run(STATE, last)
        return folder.state_sha256(CHANGED.rounds)

    def rounds_played(self) -> Iterator[int]:
        """The round of each first message of an attempt."""
        before = None
        for message in self.grid.pushed:
            key = (told(message)["round"], message.metadata.dst_node_id)
            if before is None or key[0] != before[0] or key[1] <= before[1]:
                yield int(key[0])
            before = key


@pytest.fixture
def undisturbed(tmp_path: Path) -> tuple[str, Fuse]:
    fuse = Fuse()
    return Platform(tmp_path / "undisturbed").go(fuse), fuse


def test_run_that_is_killed_at_any_point_and_goes_on_ends_with_the_same_state(
    tmp_path: Path, undisturbed: tuple[str, Fuse]
) -> None:
    final, fuse = undisturbed
    # Before and after each part of each round, its marker, its metrics, and what is pruned.
    assert len(fuse.steps) > 50
    assert any("before removal of" in step for step in fuse.steps)
    assert any("put of run-1/round-0002.optimiser.safetensors" in step for step in fuse.steps)
    for point, step in enumerate(fuse.steps):
        platform = Platform(tmp_path / f"killed-{point}")
        with pytest.raises(Killed):
            platform.go(Fuse(kill_at=point))
        assert platform.go(Fuse()) == final, step
        played = list(platform.rounds_played())
        assert len(played) - CHANGED.rounds <= 1, (step, played)
        steps = [number for number, _ in platform.tracker.logged]
        assert sorted(steps) == [1, 2, 3, 4], (step, steps)
        assert [entry["round"] for entry in platform.tracker.files[ROUNDS_FILE]] == [1, 2, 3, 4], step


def test_run_that_is_killed_many_times_still_ends_with_the_same_state(
    tmp_path: Path, undisturbed: tuple[str, Fuse]
) -> None:
    final, fuse = undisturbed
    platform, generator, killed = Platform(tmp_path / "often"), np.random.default_rng(3), 0
    while True:
        try:
            found = platform.go(Fuse(kill_at=int(generator.integers(len(fuse.steps) // 2))))
            break
        except Killed:
            killed += 1
    assert found == final
    assert killed > 1


def test_complete_run_is_not_played_again(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    final = platform.go(Fuse())
    pushed = len(platform.grid.pushed)
    assert platform.go(Fuse()) == final
    assert len(platform.grid.pushed) == pushed


def test_memory_goes_on_too_so_an_update_of_a_round_before_the_kill_is_a_replay(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "killed")
    whole = Fuse()
    Platform(tmp_path / "undisturbed").go(whole)
    with pytest.raises(Killed):
        platform.go(Fuse(kill_at=whole.steps.index("after metrics of 2")))
    last = platform.folder.last()
    assert last is not None
    assert last.round == 2
    assert len(last.memory.digests) == len(last.memory.paces) == sum(report.replies for report in last.reports)
    assert last.reports[0].norms.keys() == last.reports[0].coverage.keys()


def test_reasons_of_refused_updates_reach_the_status_and_mlflow(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    platform.grid.nodes[2] = refusing
    platform.go(Fuse())
    status = platform.folder.status()
    assert status is not None
    refused = [reason for entry in status["rounds"] for reason in entry["rejections"]]
    assert refused
    assert all(reason == "boreal: Too old. [clients.partition_stale]" for reason in refused)
    in_mlflow = [reason for entry in platform.tracker.files[ROUNDS_FILE] for reason in entry["rejections"]]
    assert in_mlflow == refused
    assert sum(metrics["rejected"] for _, metrics in platform.tracker.logged) == len(refused)


def test_run_whose_clients_all_fail_fails_and_keeps_what_is_complete(tmp_path: Path) -> None:
    platform = Platform(tmp_path)

    def until_the_third(name: str) -> Any:
        honest = training(name)
        return lambda message: honest(message) if told(message)["round"] < 3 else crashing(message)

    platform.grid.nodes = {node: until_the_third(name) for node, name in NAMES.items()}
    with pytest.raises(QuorumMissed, match="Round 3"):
        platform.go(Fuse())
    last = platform.folder.last()
    assert last is not None
    assert last.round == 2


def test_coordinator_that_was_replaced_commits_nothing_more(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    folder = RunFolder(DirectoryStore(tmp_path), RUN)
    folder.take_over()
    platform.folder.take_over()
    teller = Teller(folder, CHANGED.rounds)
    course = Course(rounds(platform.grid), FusedEvaluator(Fuse()), folder, platform.tracker, "mlflow-run", teller)
    with pytest.raises(RunTakenOver):
        course.run(STATE, None)
    assert platform.folder.last() is None
    assert platform.tracker.logged == []
