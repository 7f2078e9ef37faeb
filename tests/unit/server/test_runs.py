"""Starting, resuming and refusing runs, without Flower."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from catalog.manifest import LIVE_KEY, live_manifest
from catalog.objects import DirectoryStore
from core.progress import NoProgress
from core.settings import Settings
from federation.config import FederationConfig
from federation.spec import ModelSpec
from server import runs
from server.checkpoints import RunFolder
from server.contracts import Draft
from server.coordinator import Run
from server.enrolments import note_admitted, note_removed
from server.errors import ClientUnknown, RunDiffers, RunFailed, RunRefused, RunUnknown
from server.flower import Flower
from server.runs import (
    resume_federation,
    run_federation,
    start_federation,
    stop_federation,
    wait_for_federation,
)
from server.selection import wanted_clients
from server.simulation import prepare_simulation

CONFIG = FederationConfig(preset="tiny")


@dataclasses.dataclass(frozen=True)
class FakeFlower(Flower):
    """Ends each run at once, with a result or with what a coordinator would say."""

    root: Path = Path()
    error: Mapping[str, Any] | None = None
    may_retry: bool = True
    is_slow: bool = False
    started: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    stopped: list[str] = dataclasses.field(default_factory=list)

    def start(self, run_config: Any, *, contract: Draft | None = None, federation_config: str | None = None) -> str:
        assert contract is not None
        self.started.append({**run_config, "contract": contract("a" * 64, "")})
        folder = RunFolder(DirectoryStore(self.root / "checkpoints"), str(run_config["run-key"]))
        folder.take_over()
        if self.is_slow:
            folder.say("rounds", done=1, total=3)
        elif self.error:
            folder.say("failed", error=self.error, may_retry=self.may_retry)
        else:
            folder.finish({"run_id": folder.name})
        return f"flower-{len(self.started)}"

    def status(self, run_id: str) -> tuple[str, str]:
        return "running", ""

    def stop(self, run_id: str) -> None:
        self.stopped.append(run_id)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("platform")
    prepare_simulation(folder, spec="synthetic", clients=2, limit=40)
    return folder


@pytest.fixture
def settings(root: Path) -> Settings:
    return Settings(_env_file=None, simulation_dir=root)


@pytest.fixture
def flower(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeFlower:
    fake = FakeFlower(tmp_path, "x", root=root)
    monkeypatch.setattr(runs, "_flower", lambda settings: fake)
    return fake


def test_finished_key_gives_its_result_again_and_only_with_its_config(settings: Settings, flower: FakeFlower) -> None:
    assert run_federation(settings, CONFIG, "finished", NoProgress()) == {"run_id": "finished"}
    assert run_federation(settings, CONFIG, "finished", NoProgress()) == {"run_id": "finished"}
    assert len(flower.started) == 1
    with pytest.raises(RunDiffers, match="rounds was 3, now 5"):
        run_federation(settings, dataclasses.replace(CONFIG, rounds=5), "finished", NoProgress())


def failing(flower: FakeFlower, code: str, *, may_retry: bool) -> FakeFlower:
    error = {"code": code, "message": "It failed.", "hint": "Look there."}
    return dataclasses.replace(flower, error=error, may_retry=may_retry)


def test_run_that_was_broken_off_goes_on_with_its_config_and_the_earlier_attempt_is_ended(
    settings: Settings, flower: FakeFlower, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(CONFIG, seed=7)
    broken = failing(flower, "server.quorum_missed", may_retry=True)
    monkeypatch.setattr(runs, "_flower", lambda settings: broken)
    with pytest.raises(RunFailed) as caught:
        run_federation(settings, config, "broken", NoProgress())
    assert caught.value.exit_status == 75
    monkeypatch.setattr(runs, "_flower", lambda settings: flower)
    assert resume_federation(settings, "broken", NoProgress()) == {"run_id": "broken"}
    assert set(flower.stopped) == {"flower-1"}
    assert flower.started[0]["seed"] == 7


def test_failure_that_another_try_would_repeat_is_told_apart(
    settings: Settings, flower: FakeFlower, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = failing(flower, "federation.weights_mismatch", may_retry=False)
    monkeypatch.setattr(runs, "_flower", lambda settings: broken)
    with pytest.raises(RunRefused, match=r"\[federation\.weights_mismatch\]") as caught:
        run_federation(settings, CONFIG, "refused", NoProgress())
    assert caught.value.exit_status == 1


def test_run_does_not_go_on_over_another_catalogue(
    root: Path, settings: Settings, flower: FakeFlower, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = failing(flower, "server.quorum_missed", may_retry=True)
    monkeypatch.setattr(runs, "_flower", lambda settings: broken)
    with pytest.raises(RunFailed):
        run_federation(settings, CONFIG, "moved", NoProgress())
    store = DirectoryStore(root / "data")
    manifest = live_manifest(store)
    store.put(LIVE_KEY, dataclasses.replace(manifest, version="later").to_json())
    try:
        with pytest.raises(RunDiffers, match="now there is later"):
            resume_federation(settings, "moved", NoProgress())
    finally:
        store.put(LIVE_KEY, manifest.to_json())


def test_run_that_names_an_unknown_client_never_starts(settings: Settings, flower: FakeFlower) -> None:
    with pytest.raises(ClientUnknown, match="mallory"):
        run_federation(settings, dataclasses.replace(CONFIG, clients="aurora,mallory"), "stray", NoProgress())
    assert not flower.started


def test_a_run_is_not_about_a_client_that_was_removed_since_the_catalogue_was_loaded(
    settings: Settings, flower: FakeFlower, root: Path
) -> None:
    store = DirectoryStore(root / "data")
    manifest, nothing = live_manifest(store), cast(Any, None)
    run = Run(settings, CONFIG, nothing, ModelSpec.of(CONFIG), manifest, nothing, "", nothing, nothing, None)
    assert set(run.expected.products) == {"aurora", "boreal"}
    note_removed(store, "boreal")
    try:
        # Nobody waits for it: it is none of those that the coordinator expects.
        assert set(run.expected.products) == {"aurora"}
        assert wanted_clients(CONFIG, run.expected.products) == ("aurora",)
        with pytest.raises(ClientUnknown, match="boreal"):
            start_federation(settings, dataclasses.replace(CONFIG, clients="aurora,boreal"), "with-removed")
        assert start_federation(settings, CONFIG, "without-removed")
    finally:
        note_admitted(store, "boreal")
    assert set(run.expected.products) == {"aurora", "boreal"}


def test_only_a_run_that_was_begun_can_be_resumed(settings: Settings, flower: FakeFlower) -> None:
    with pytest.raises(RunUnknown):
        resume_federation(settings, "never-was", NoProgress())


def test_started_run_is_waited_for_by_its_key_alone_and_a_finished_one_is_not_started_again(
    settings: Settings, flower: FakeFlower
) -> None:
    assert start_federation(settings, CONFIG, "apart") == "flower-1"
    assert wait_for_federation(settings, "apart", NoProgress()) == {"run_id": "apart"}
    assert start_federation(settings, CONFIG, "apart") is None
    assert wait_for_federation(settings, "apart", NoProgress()) == {"run_id": "apart"}
    assert len(flower.started) == 1
    with pytest.raises(RunUnknown):
        wait_for_federation(settings, "never-was", NoProgress())


def test_many_starts_of_one_key_leave_one_run_and_end_those_before(
    settings: Settings, flower: FakeFlower, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work = dataclasses.replace(flower, is_slow=True)
    monkeypatch.setattr(runs, "_flower", lambda settings: at_work)
    started = [start_federation(settings, CONFIG, "often") for _ in range(20)]
    assert at_work.stopped == started[:-1]
    assert stop_federation(settings, "often") == {"run_id": "often", "stopped": True}
    assert at_work.stopped == started
    with pytest.raises(RunUnknown):
        stop_federation(settings, "never-was")


def test_whoever_waits_may_go_and_the_run_goes_on(
    settings: Settings, flower: FakeFlower, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient(NoProgress):
        def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
            raise KeyboardInterrupt

    at_work = dataclasses.replace(flower, is_slow=True)
    monkeypatch.setattr(runs, "_flower", lambda settings: at_work)
    start_federation(settings, CONFIG, "patient")
    with pytest.raises(KeyboardInterrupt):
        wait_for_federation(settings, "patient", Impatient())
    assert not at_work.stopped
