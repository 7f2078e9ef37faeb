"""`tejido keys rotate` takes every step in its time, or says that it is too early."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli.commands import register
from cli.errors import BadOption
from cli.keys.rotate_artifacts import rotate_artifacts, told
from core.settings import Settings
from security.artifact_keys import ArtifactKeys
from security.artifact_rotation import ArtifactRotation, Retired
from security.errors import ArtifactRefused, RotationTooEarly, RotationUnfinished
from security.key_rotation import KeyRotation
from security.signing_keys import SigningKeys


@pytest.fixture
def signing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    env = tmp_path / "platform.env"
    env.write_text(f"TEJIDO_SIGNING_KEY_DIR={tmp_path / 'signing'}\n")
    monkeypatch.setenv("TEJIDO_ENV_FILE", str(env))
    SigningKeys.open(tmp_path / "signing")
    return tmp_path / "signing"


def run(*arguments: str) -> tuple[dict[str, Any], BaseException | None]:
    app = typer.Typer()
    register(app, ["keys", *arguments])
    result = CliRunner().invoke(app, ["keys", *arguments, "--format", "json"])
    return json.loads(result.stdout or "{}"), result.exception


def test_one_command_rotates_and_waits_as_long_as_it_must(signing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    now = [2_000_000_000.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("cli.keys.rotate.KeyRotation", partial(KeyRotation, clock=lambda: now[0]))
    monkeypatch.setattr("time.sleep", sleep)
    first = SigningKeys(signing).active.kid
    result, error = run("rotate")
    assert error is None
    assert [step["action"] for step in result["steps"]] == ["published", "activated", "retired"]
    assert result["steps"][2]["kid"] == first
    assert SigningKeys(signing).kids == [result["steps"][0]["kid"]]
    assert slept == pytest.approx([360, 990], abs=2)


def test_one_step_at_a_time_is_refused_when_it_is_too_early(signing: Path) -> None:
    result, _ = run("rotate", "--no-wait")
    assert [step["action"] for step in result["steps"]] == ["published"]
    _, error = run("rotate", "--no-wait")
    assert isinstance(error, RotationTooEarly)
    assert error.exit_status == 75
    result, _ = run("list")
    assert [key["state"] for key in result["keys"]] == ["signs", "published"]


def test_a_stolen_key_is_replaced_at_once(signing: Path) -> None:
    first = SigningKeys(signing).active.kid
    result, _ = run("rotate", "--now")
    assert [step["action"] for step in result["steps"]] == ["published", "activated", "retired"]
    assert first not in SigningKeys(signing).kids


@pytest.mark.parametrize(
    "options", [("--rewrap",), ("--retire",), ("--artifacts", "--now"), ("--artifacts", "--no-wait")]
)
def test_options_of_the_two_rotations_do_not_mix(signing: Path, options: tuple[str, ...]) -> None:
    _, error = run("rotate", *options)
    assert isinstance(error, BadOption)


def test_who_goes_on_with_a_rotation_that_broke_off_is_told_so() -> None:
    done = {"checkpoints": 3, "models": 2, "unchanged": 1}
    signed = {"checkpoints": 2, "models": 1, "unchanged": 0}
    result = {"rewrapped": done, "resigned": signed, "retired": 0, "distrusted": 1, "went_on": False}
    assert told(result) == (
        "Data keys wrapped anew: 3 of checkpoints, 2 of models; 1 were so already. Manifests and results signed anew: "
        "2 of checkpoints, 1 of models; 0 were so already. Keys retired: 0 that wrapped, 1 that signed."
    )
    assert told(result | {"went_on": True}).startswith("Went on with the rotation that broke off")


DONE = {"rewrapped": {"checkpoints": 1}, "resigned": {"checkpoints": 1}}


@pytest.fixture
def sealing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, list[str]]:
    """Settings of one who rotates, and the name of the signer at each renewal, of which nothing is really done."""
    signers: list[str] = []
    keys = ArtifactKeys.open(tmp_path / "artifacts")
    settings = Settings(_env_file=None, artifact_keys_dir=keys.directory, renewed_file=tmp_path / "renewed")

    def renew_all(_: Settings) -> dict[str, dict[str, int]]:
        signers.append(keys.signer)
        return DONE

    monkeypatch.setattr("cli.keys.rotate_artifacts.renew_all", renew_all)
    return settings, signers


def test_set_up_may_retire_old_keys_only_on_the_word_of_who_has_renewed_all(
    sealing: tuple[Settings, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, signers = sealing
    keys = ArtifactKeys(Path(settings.required("artifact_keys_dir")))
    first, renewed = keys.signer, Path(settings.required("renewed_file"))
    ArtifactRotation(keys).begin()
    rotate_artifacts(settings, rewrap_only=True, retire=False)
    assert signers == [keys.signer] != [first]

    word = renewed.read_bytes()
    renewed.unlink()

    def broken(_: Settings) -> dict[str, dict[str, int]]:
        raise ArtifactRefused("one is damaged")

    monkeypatch.setattr("cli.keys.rotate_artifacts.renew_all", broken)
    for retire in (False, True):
        with pytest.raises(ArtifactRefused):
            rotate_artifacts(settings, rewrap_only=not retire, retire=retire)
    assert not renewed.exists()
    assert len(keys.trusted()) == len(keys.wrapping_keys()) == 2
    assert ArtifactRotation(keys).retire(word) == Retired(1, 1)


def test_keys_that_come_while_all_is_renewed_keep_the_old_ones_from_retiring(
    sealing: tuple[Settings, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = sealing
    rotation = ArtifactRotation(ArtifactKeys(Path(settings.required("artifact_keys_dir"))))

    def overtaken(_: Settings) -> dict[str, dict[str, int]]:
        rotation.begin()
        return DONE

    with monkeypatch.context() as patched:
        patched.setattr("cli.keys.rotate_artifacts.renew_all", overtaken)
        with pytest.raises(RotationUnfinished):
            rotate_artifacts(settings, rewrap_only=False, retire=True)
    assert len(rotation.keys.trusted()) == 2
    told = rotate_artifacts(settings, rewrap_only=False, retire=True)
    assert (told["retired"], told["distrusted"]) == (1, 1)


def test_one_command_where_the_keys_are_one_s_own_adds_both_and_another_retires_both(
    sealing: tuple[Settings, list[str]],
) -> None:
    settings, signers = sealing
    keys = ArtifactKeys(Path(settings.required("artifact_keys_dir")))
    told = rotate_artifacts(settings, rewrap_only=False, retire=False)
    assert (told["retired"], told["distrusted"], told["went_on"]) == (0, 0, False)
    assert signers == [keys.signer]
    told = rotate_artifacts(settings, rewrap_only=False, retire=True)
    assert (told["retired"], told["distrusted"]) == (1, 1)
    assert (len(keys.trusted()), len(keys.wrapping_keys())) == (1, 1)


@pytest.mark.parametrize("again", [False, True])
def test_rotation_that_was_killed_while_all_was_renewed_goes_on_with_the_same_keys(
    sealing: tuple[Settings, list[str]], monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    settings, _ = sealing
    keys = ArtifactKeys(Path(settings.required("artifact_keys_dir")))

    def killed(_: Settings) -> dict[str, dict[str, int]]:
        raise KeyboardInterrupt

    for _ in range(1 + again):
        with monkeypatch.context() as patched:
            patched.setattr("cli.keys.rotate_artifacts.renew_all", killed)
            with pytest.raises(KeyboardInterrupt):
                rotate_artifacts(settings, rewrap_only=False, retire=False)
    signer, wrapping = keys.signer, keys.wrapping_keys()
    assert len(wrapping) == len(keys.trusted()) == 2
    told = rotate_artifacts(settings, rewrap_only=False, retire=False)
    assert told["went_on"]
    assert (keys.signer, keys.wrapping_keys()) == (signer, wrapping)
    with monkeypatch.context() as patched:
        patched.setattr("cli.keys.rotate_artifacts.renew_all", killed)
        with pytest.raises(KeyboardInterrupt):
            rotate_artifacts(settings, rewrap_only=False, retire=True)
    assert len(keys.trusted()) == 2
    rotate_artifacts(settings, rewrap_only=False, retire=True)
    assert (keys.signer, keys.wrapping_keys(), len(keys.trusted())) == (signer, wrapping[:1], 1)
