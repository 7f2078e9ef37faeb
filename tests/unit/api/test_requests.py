"""What the log and the traces say of a request, and what they leave out."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from tests import spans
from tests.unit.api.fakes import Parts

SEARCH = {"query": "query ($t: String!) { searchByText(text: $t) { exact } }", "variables": {"t": "secret wish like 7"}}


Stderr = pytest.CaptureFixture[str]


def lines(capsys: Stderr) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


@pytest.fixture
def traced(parts: Parts) -> TestClient:
    """A reader's client of an API that records spans in memory."""
    spans.recorder()
    parts.switch_to(1, "1")
    app = create_app(parts.services)
    token = parts.tokens.issue("ana", ["reader"])
    return TestClient(app, headers={"Authorization": f"Bearer {token}"}, raise_server_exceptions=False)


def test_a_line_names_the_request_and_its_user_and_not_what_was_asked(capsys: Stderr, client: TestClient) -> None:
    answer = client.post("/graphql?q=secret+wish", json=SEARCH)
    (line,) = [line for line in lines(capsys) if line["event"] == "answered"]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/graphql", 200)
    assert (line["user"], line["request"]) == ("ana", answer.headers["x-request-id"])
    assert "wish" not in json.dumps(line)
    assert client.headers["Authorization"].removeprefix("Bearer ") not in json.dumps(line)


def test_every_request_has_an_id_of_its_own_that_no_caller_chooses(client: TestClient) -> None:
    ids = [client.get("/healthz", headers={"X-Request-Id": "mine"}).headers["x-request-id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{16}", found) for found in ids)


def test_nobody_s_request_bears_the_user_of_the_one_before(capsys: Stderr, client: TestClient) -> None:
    client.post("/graphql", json=SEARCH)
    client.post("/graphql", json=SEARCH, headers={"Authorization": ""})
    answered = [line for line in lines(capsys) if line["event"] == "answered"]
    assert [line.get("user") for line in answered] == ["ana", None]


def test_probes_leave_no_line(capsys: Stderr, client: TestClient) -> None:
    client.get("/healthz")
    client.get("/metrics")
    assert not [line for line in lines(capsys) if line["event"] == "answered"]


def test_an_unexpected_error_is_answered_with_an_id_and_logged_once(
    capsys: Stderr, client: TestClient, parts: Parts
) -> None:
    parts.files.rows = [None]  # type: ignore[list-item]
    answer = client.get("/files/9/image")
    assert (answer.status_code, answer.json()["code"]) == (500, "api.unexpected")
    assert answer.headers["content-security-policy"]
    found = lines(capsys)
    (failure,) = [line for line in found if line["event"] == "request failed"]
    assert failure["request"] == answer.headers["x-request-id"]
    assert "Traceback" in failure["exception"]
    (answered,) = [line for line in found if line["event"] == "answered"]
    assert answered["status"] == 500


def test_a_search_is_one_trace_that_answer_and_log_name(capsys: Stderr, traced: TestClient) -> None:
    spans.recorder().clear()
    answer = traced.post("/graphql?q=secret+wish", json=SEARCH)
    assert answer.json()["data"]
    recorded = spans.recorder().get_finished_spans()
    (root,) = [span for span in recorded if span.parent is None]
    assert root.name == "POST /graphql"
    assert root.context is not None
    assert answer.headers["x-trace-id"] == f"{root.context.trace_id:032x}"
    (line,) = [line for line in lines(capsys) if line["event"] == "answered"]
    assert line["trace"] == answer.headers["x-trace-id"]
    (vector,) = [span for span in recorded if span.name == "query vector"]
    assert spans.is_below(vector, root, recorded)


def test_spans_hold_no_words_and_no_token(traced: TestClient, parts: Parts) -> None:
    spans.recorder().clear()
    traced.post("/graphql?q=secret+wish", json=SEARCH)
    parts.files.rows = [None]  # type: ignore[list-item]
    traced.get("/files/9/image?q=secret+wish")
    recorded = spans.recorder().get_finished_spans()
    assert {span.name for span in recorded} >= {"POST /graphql", "GET /files/{file_id}/image"}
    text = " ".join(span.to_json() for span in recorded)
    assert "wish" not in text
    assert "NoneType" not in text
    assert traced.headers["Authorization"].removeprefix("Bearer ") not in text


def test_probes_are_not_traced(traced: TestClient) -> None:
    spans.recorder().clear()
    answer = traced.get("/healthz")
    assert "x-trace-id" not in answer.headers
    assert not spans.recorder().get_finished_spans()
