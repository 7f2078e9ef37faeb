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
from cli.keys.rotate_artifacts import told
from security.errors import RotationTooEarly
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
    result = {"rewrapped": {"checkpoints": 3, "models": 2, "unchanged": 1}, "retired": 0, "went_on": False}
    assert told(result) == (
        "Data keys wrapped anew: 3 of checkpoints, 2 of models; 1 were so already. Wrapping keys retired: 0."
    )
    assert told(result | {"went_on": True}).startswith("Went on with the rotation that broke off")
