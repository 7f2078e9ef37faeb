from __future__ import annotations

import json

import pytest

from cli.errors import BadOption
from cli.output import Format, emit, show_error, wants_json


@pytest.mark.parametrize("line", ["x --format json", "x --format=json --verbose", "--format json x"])
def test_json_is_recognised_wherever_it_stands(line: str) -> None:
    assert wants_json(line.split())


@pytest.mark.parametrize("line", ["x", "x --format text", "x json", "x --format"])
def test_text_is_the_default(line: str) -> None:
    assert not wants_json(line.split())


def test_json_output_is_one_line_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"name": "Señora"}, Format.JSON, str)
    assert json.loads(capsys.readouterr().out) == {"name": "Señora"}


def test_an_error_shows_its_code_what_happened_and_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["tejido", "demo"])
    show_error(BadOption("--clients is 0 [and that is none].", hint="Give at least 1."))
    shown = capsys.readouterr().err
    assert "command.bad_option" in shown
    assert "--clients is 0 [and that is none]." in shown
    assert "→ Give at least 1." in shown


def test_an_error_is_json_where_results_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["tejido", "demo", "--format", "json"])
    show_error(BadOption("no", hint="yes"))
    assert json.loads(capsys.readouterr().err)["error"] == {
        "code": "command.bad_option",
        "message": "no",
        "hint": "yes",
    }


def test_a_long_text_is_not_wrapped_so_that_a_shell_can_take_it(capsys: pytest.CaptureFixture[str]) -> None:
    token = "x" * 500 + "[bold]"
    emit({"access_token": token}, Format.TEXT, lambda result: result["access_token"])
    assert capsys.readouterr().out == f"{token}\n"
