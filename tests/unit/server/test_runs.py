"""Starting, resuming and refusing runs, without Flower."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from catalog.manifest import LIVE_KEY, live_manifest
from catalog.objects import DirectoryStore
from core.progress import NoProgress
from core.settings import Settings
from federation.config import FederationConfig
from server import runs
from server.checkpoints import RunFolder
from server.errors import ClientUnknown, RunDiffers, RunFailed, RunRefused, RunUnknown
from server.flower import Flower
from server.runs import resume_federation, run_federation
from server.simulation import prepare_simulation

CONFIG = FederationConfig(preset="tiny")


@dataclasses.dataclass(frozen=True)
class FakeFlower(Flower):
    """Ends each run at once, with a result or with what a coordinator would say."""

    root: Path = Path()
    error: Mapping[str, Any] | None = None
    may_retry: bool = True
    started: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    stopped: list[str] = dataclasses.field(default_factory=list)

    def start(self, run_config: Any, *, federation_config: str | None = None) -> str:
        self.started.append(dict(run_config))
        folder = RunFolder(DirectoryStore(self.root / "checkpoints"), str(run_config["run-key"]))
        folder.take_over()
        if self.error:
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


def test_only_a_run_that_was_begun_can_be_resumed(settings: Settings, flower: FakeFlower) -> None:
    with pytest.raises(RunUnknown):
        resume_federation(settings, "never-was", NoProgress())
