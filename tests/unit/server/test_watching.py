from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
from flwr.cli.build import build_fab_from_disk

from catalog.objects import DirectoryStore
from core.progress import NoProgress
from server import runs
from server.checkpoints import RunFolder
from server.errors import RunFailed, SuperLinkUnreachable
from server.flower import BUNDLED, Flower, _bundle_folder
from server.runs import Watch


@dataclass(frozen=True)
class FakeFlower(Flower):
    """Answers in place of Flower's command line."""

    answers: Callable[[], tuple[str, str]] = lambda: ("running", "")
    stopped: list[str] = field(default_factory=list)

    def status(self, run_id: str) -> tuple[str, str]:
        return self.answers()

    def log_tail(self, run_id: str) -> str:
        return "last words"

    def stop(self, run_id: str) -> None:
        self.stopped.append(run_id)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "WATCH_S", 0.01)
    monkeypatch.setattr(runs, "ASK_FLOWER_S", 0.03)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder(DirectoryStore(tmp_path), "run-1")
    found.take_over()
    return found


def watch(flower: Flower, folder: RunFolder, *, limit_s: float = 5.0) -> Watch:
    return Watch(flower, "42", folder, NoProgress(), limit_s)


def unreachable() -> tuple[str, str]:
    raise SuperLinkUnreachable("gone")


def test_result_ends_the_watch_and_stops_nothing(folder: RunFolder, tmp_path: Path) -> None:
    flower = FakeFlower(tmp_path, "x")
    folder.finish({"run_id": "run-1"})
    assert watch(flower, folder).until_done() == {"run_id": "run-1"}
    assert not flower.stopped


def test_failed_run_gives_its_first_error_with_code_and_hint(folder: RunFolder, tmp_path: Path) -> None:
    folder.say("failed", error={"code": "server.quorum_missed", "message": "Round 2: too few.", "hint": "Look there."})
    with pytest.raises(RunFailed, match=r"Round 2: too few\. \[server\.quorum_missed\]") as caught:
        watch(FakeFlower(tmp_path, "x"), folder).until_done()
    assert caught.value.hint == "Look there."


def test_run_that_flower_ended_without_a_word_gives_its_log_tail(folder: RunFolder, tmp_path: Path) -> None:
    """Flower may well say "completed" when nothing was."""
    flower = FakeFlower(tmp_path, "x", answers=lambda: ("finished:completed", ""))
    with pytest.raises(RunFailed, match="finished:completed") as caught:
        watch(flower, folder).until_done()
    assert "last words" in caught.value.hint


def test_silent_run_ends_at_its_limit_and_is_stopped(folder: RunFolder, tmp_path: Path) -> None:
    flower = FakeFlower(tmp_path, "x")
    with pytest.raises(RunFailed, match="longer than"):
        watch(flower, folder, limit_s=0.1).until_done()
    assert flower.stopped == ["42"]


def test_superlink_that_stays_away_ends_the_watch(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(SuperLinkUnreachable):
        watch(FakeFlower(tmp_path, "x", answers=unreachable), folder).until_done()


def test_superlink_that_is_away_once_does_not_end_the_watch(folder: RunFolder, tmp_path: Path) -> None:
    asked = 0

    def answer() -> tuple[str, str]:
        nonlocal asked
        asked += 1
        if asked % 2:
            return unreachable()
        if asked >= 4:
            folder.finish({"run_id": "run-1"})
        return "running", ""

    assert watch(FakeFlower(tmp_path, "x", answers=answer), folder).until_done() == {"run_id": "run-1"}


def test_real_command_line_says_that_nobody_answers(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[superlink.x]\naddress = "127.0.0.1:9"\ninsecure = true\n')
    with pytest.raises(SuperLinkUnreachable, match="unavailable"):
        Flower(tmp_path, "x").status("1")


def test_a_wave_starts_without_what_only_training_needs() -> None:
    code = "import sys, server.app; print(sorted({'mlflow', 'matplotlib', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # Flower's own, while it bundles
def test_bundle_holds_all_that_both_apps_import_and_nothing_secret(tmp_path: Path) -> None:
    with _bundle_folder() as app:
        (app / ".env").write_text("TEJIDO_S3_SECRET_KEY=x")
        bundle = zipfile.ZipFile(BytesIO(build_fab_from_disk(app)))
    names = set(bundle.namelist())
    assert not any(".env" in name or name.startswith(("api/", "embedded/")) for name in names)
    # What seals checkpoints, signs receipts and reads contracts, and nothing of tokens, passwords or nodes.
    assert {name.removeprefix("security/") for name in names if name.startswith("security/")} == {
        "__init__.py", "artifact_keys.py", "bundles.py", "contracts.py", "ed25519.py", "envelope.py", "errors.py",
        "manifests.py", "receipt_keys.py", "signing_keys.py", "vouchers.py",
    }  # fmt: skip
    bundle.extractall(tmp_path)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import server.app, server.coordinator, clients.app, clients.learning, federation.model
from federation.presets import load_preset
load_preset("lite")
outside = [name for name, module in sys.modules.items() if name.split(".")[0] in {BUNDLED!r}
           and getattr(module, "__file__", None) and not module.__file__.startswith({str(tmp_path)!r})]
assert not outside, outside
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
