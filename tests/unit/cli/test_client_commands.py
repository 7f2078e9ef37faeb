"""`tejido client add`, `rotate`, `remove` and `policy check` as a person gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli.commands import register
from cli.errors import BadOption
from core.errors import TejidoError
from embedded.enrolment import Enrolments
from embedded.errors import ClientNotEnrolled
from embedded.state import StateFolder
from security.errors import PolicyInvalid, PolicyRefused


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TEJIDO_ENV_FILE", raising=False)
    return tmp_path / "state"


def tejido(*arguments: str, says: str = "") -> str:
    """What a command prints; its error is raised."""
    app = typer.Typer()
    register(app, arguments)
    done = CliRunner().invoke(app, list(arguments), input=says)
    if isinstance(done.exception, TejidoError):
        raise done.exception
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stdout


def as_json(*arguments: str) -> dict[str, Any]:
    return dict(json.loads(tejido(*arguments, "--format", "json")))


def test_added_twice_is_added_once_and_the_second_says_so(state: Path) -> None:
    first = as_json("client", "add", "duna", "--state", str(state))
    assert first["client"] == "duna"
    assert not first["stack_running"]
    assert "node.key" in first["changed"]
    assert as_json("client", "add", "duna", "--state", str(state))["changed"] == []
    assert "nothing was changed" in tejido("client", "add", "duna", "--state", str(state))


def test_new_keys_are_said_to_count_from_the_next_start(state: Path) -> None:
    tejido("client", "add", "duna", "--state", str(state))
    assert "from the next `tejido up` on" in tejido("client", "rotate", "duna", "--state", str(state))
    with pytest.raises(ClientNotEnrolled):
        tejido("client", "rotate", "nobody", "--state", str(state))


def test_removing_asks_and_a_no_changes_nothing(state: Path) -> None:
    tejido("client", "add", "duna", "--state", str(state))
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    tejido("client", "remove", "duna", "--state", str(state), says="n\n")
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before
    assert not Enrolments(StateFolder.at(state)).all()["duna"].is_removed


def test_a_stranger_is_refused_before_anything_is_asked_or_started(state: Path) -> None:
    with pytest.raises(ClientNotEnrolled, match="nobody"):
        tejido("client", "remove", "nobody", "--state", str(state))
    with pytest.raises(TejidoError, match="max-examples is 0"):
        tejido("client", "add", "duna", "--max-examples", "0", "--state", str(state))


def test_a_limit_stays_until_it_is_changed_or_taken_away(state: Path) -> None:
    def limit_after(*options: str) -> int | None:
        tejido("client", "add", "duna", *options, "--state", str(state))
        return Enrolments(StateFolder.at(state)).all()["duna"].max_examples

    assert limit_after("--max-examples", "7") == 7
    assert limit_after() == 7
    assert limit_after("--no-max-examples") is None
    with pytest.raises(BadOption, match="does not go with"):
        limit_after("--max-examples", "7", "--no-max-examples")


def test_containers_refuse_the_same_limits(state: Path) -> None:
    with pytest.raises(BadOption, match="max-examples is 0"):
        tejido("setup", "enrol", "duna", "--max-examples", "0")
    with pytest.raises(BadOption, match="does not go with"):
        tejido("setup", "enrol", "duna", "--max-examples", "7", "--no-max-examples")


def test_a_policy_is_checked_as_the_client_s_programs_read_it(state: Path) -> None:
    folder = Path(as_json("client", "add", "duna", "--state", str(state))["folder"])
    policy = folder / "policy.toml"
    assert as_json("client", "policy", "check", str(policy))["modes"] == ["robust", "confidential"]
    text = policy.read_text()
    policy.write_text(text.replace("max_rounds", "max_round"))
    with pytest.raises(PolicyInvalid, match="max_round"):
        tejido("client", "policy", "check", str(policy))
    year = text[text.index("expires = ") :][10:14]
    policy.write_text(text.replace(f"expires = {year}", "expires = 2020"))
    with pytest.raises(PolicyRefused, match="expired on 2020"):
        tejido("client", "policy", "check", str(policy))
