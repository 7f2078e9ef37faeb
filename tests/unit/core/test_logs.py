"""What a log line says about itself, and what it never says."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from core.logs import HIDDEN, about, configure_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


Stderr = pytest.CaptureFixture[str]


def lines(stderr: Stderr) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr.readouterr().err.splitlines()]


def test_every_line_of_a_block_says_what_it_is_about(capsys: Stderr) -> None:
    configure_logs()
    log = structlog.get_logger()
    with about(run="r1", round=2):
        with about(client="aurora"):
            log.info("an update came")
        log.info("the round is over")
    log.info("idle")
    found = lines(capsys)
    assert [(line.get("run"), line.get("round"), line.get("client")) for line in found] == [
        ("r1", 2, "aurora"),
        ("r1", 2, None),
        (None, None, None),
    ]
    assert all(line["level"] == "info" and line["timestamp"].endswith("Z") for line in found)


def test_a_terminal_gets_lines_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logs()
    structlog.get_logger().info("an update came", client="aurora")
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(stream.getvalue())
    assert "an update came" in stream.getvalue()


def test_a_server_s_own_lines_look_like_ours(capsys: Stderr) -> None:
    configure_logs(also=["a.server"])
    with about(request="q1"):
        logging.getLogger("a.server").warning("port %d", 8800)
    (line,) = lines(capsys)
    assert (line["event"], line["logger"], line["level"], line["request"]) == ("port 8800", "a.server", "warning", "q1")


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl",
        "postgresql://tejido:hunter2@localhost:15432/catalog",
        "Authorization: Bearer 0123456789abcdef",
        "host=localhost password=hunter2",
    ],
)
def test_what_looks_like_a_secret_is_hidden(capsys: Stderr, secret: str) -> None:
    configure_logs()
    structlog.get_logger().error("it failed", error=f"It was {secret} that failed.", api_token="hunter2")
    (line,) = lines(capsys)
    assert line["api_token"] == HIDDEN
    assert HIDDEN in line["error"]
    assert not any(part in str(line) for part in ("hunter2", "eyJhbGci", "0123456789abcdef"))


def test_a_traceback_hides_secrets_too(capsys: Stderr) -> None:
    configure_logs()
    try:
        raise RuntimeError("postgresql://tejido:hunter2@localhost/catalog is gone")
    except RuntimeError as error:
        structlog.get_logger().error("it failed", exc_info=error)
    (line,) = lines(capsys)
    assert "RuntimeError" in line["exception"]
    assert "hunter2" not in str(line)
