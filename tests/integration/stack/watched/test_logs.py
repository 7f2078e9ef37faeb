"""The logs of a real run and of real requests: each line says what it is about, in every service of ours."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from embedded.stack import Stack
from server.checkpoints import RunFolder
from server.monitoring.services import flower_of
from server.stores import open_stores
from tests.integration.stack.shared import CLIENTS
from tests.integration.stack.watched.conftest import PASSWORD, READER

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def lines(log: str, event: str) -> list[dict[str, Any]]:
    """What a service of ours said of one thing; other programs write to its log too."""
    return [json.loads(line) for line in log.splitlines() if f'"event": "{event}"' in line]


def test_coordinator_says_which_run_round_attempt_and_client(stack: Stack, shared_run: dict[str, Any]) -> None:
    settings, run = stack.settings(), shared_run["run_id"]
    flower_run = RunFolder(open_stores(settings).checkpoints, run).attempt()
    assert flower_run is not None
    log = flower_of(settings).log(flower_run)
    found = lines(log, "an update counts")
    assert {line["run"] for line in found} == {run}
    said = sorted({(line["round"], line["attempt"], line["client"]) for line in found})
    assert said == [(number, 1, client) for number in (1, 2) for client in CLIENTS]
    assert [(line["run"], line["round"]) for line in lines(log, "a round is complete")] == [(run, 1), (run, 2)]


@pytest.mark.parametrize("client", CLIENTS)
def test_client_says_which_run_round_and_attempt(stack: Stack, shared_run: dict[str, Any], client: str) -> None:
    found = lines(stack.log(f"clientapps-{client}").read_text(), "trained")
    ours = [line for line in found if line["run"] == shared_run["run_id"]]
    assert {(line["client"], line["round"], line["attempt"]) for line in ours} == {(client, 1, 1), (client, 2, 1)}


def test_api_names_request_and_user_and_no_words(stack: Stack, reader: httpx.Client) -> None:
    query = 'query { searchByText(text: "a wish of mine") { exact } }'
    answer = reader.post("/graphql", json={"query": query})
    # The line is written behind the answer.
    deadline = time.monotonic() + 10
    found: list[dict[str, Any]] = []
    while not found and time.monotonic() < deadline:
        text = stack.log("api").read_text()
        found = [line for line in lines(text, "answered") if line["request"] == answer.headers["x-request-id"]]
    assert [(line["user"], line["route"], line["status"]) for line in found] == [(READER, "/graphql", 200)]
    assert not any(secret in text for secret in ("a wish of mine", PASSWORD, reader.headers["Authorization"][7:]))
    # The server's own lines too.
    assert any(line["logger"] == "uvicorn.error" for line in lines(text, "Application startup complete."))
