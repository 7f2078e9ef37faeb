"""Hostile GraphQL, sent to a running API: an answer to each at a bounded cost, and none of it an error of ours.

How fast the answers come, and what a neighbour notices of them, is measured by benchmarks/hostile_queries.py; here
stands what holds on any machine: statuses, codes, bounded memory, the API's own processor time with room to spare.
"""

from __future__ import annotations

import json
import time

import httpx
import pytest

from tests.attacks.api.hostile import CORPUS
from tests.attacks.api.target import Target

pytestmark = [pytest.mark.attack, pytest.mark.integration]

HEADERS = {"Content-Type": "application/json"}
REFUSALS = {
    "api.argument_invalid", "api.body_too_large", "api.query_invalid", "api.query_rejected", "api.request_invalid",
    "security.forbidden",
}  # fmt: skip
ANSWERED = {
    "a long alias", "a number beyond floats", "alias flood of ten", "body: UTF-16", "body: extensions",
    "fragment bomb of 9", "fragment bomb of wide fragments",
}  # fmt: skip
"""What is within the limits, and answered as anything else is: it costs milliseconds."""
CPU_S = 0.5
"""Five times what an answer may take; a bomb that gets through takes seconds to hours."""
GROWTH_MB = 50


def codes(answer: httpx.Response) -> set[str]:
    body = answer.json()
    return {body["code"]} if "code" in body else {e["extensions"]["code"] for e in body.get("errors", [])}


@pytest.mark.parametrize("name", CORPUS)
def test_a_hostile_request_is_answered_at_a_bounded_cost(target: Target, http: httpx.Client, name: str) -> None:
    before = target.cpu_s()
    answer = http.post("/graphql", content=CORPUS[name], headers=HEADERS)
    assert target.cpu_s() - before < CPU_S
    assert answer.status_code in (200, 400, 413), answer.text[:300]
    assert codes(answer) <= REFUSALS
    assert codes(answer) or name in ANSWERED
    assert len(answer.content) < 200_000
    assert "Did you mean" not in answer.text


def test_hostile_requests_leave_no_memory_behind(target: Target, http: httpx.Client) -> None:
    def all_of_them() -> None:
        for body in CORPUS.values():
            http.post("/graphql", content=body, headers=HEADERS)

    all_of_them()  # what is remembered of documents has its full size then
    before = target.memory_mb()
    for _ in range(3):
        all_of_them()
    assert target.memory_mb() - before < GROWTH_MB


def test_after_all_of_it_the_api_answers_as_before(http: httpx.Client) -> None:
    for body in CORPUS.values():
        http.post("/graphql", content=body, headers=HEADERS)
    answer = http.post("/graphql", json={"query": "{ allFiles(limit: 3) { id } }"})
    assert len(answer.json()["data"]["allFiles"]) == 3
    assert http.get("/readyz").status_code == 200


def written(target: Target, since: int, *, lines: int) -> list[str]:
    """What the API has written into its log; the last line comes a moment after the answer that it tells of."""
    ends = time.monotonic() + 10
    while True:
        with target.log.open() as log:
            log.seek(since)
            found = log.read().splitlines()
        if len(found) >= lines or time.monotonic() > ends:
            return found
        time.sleep(0.05)


def test_nothing_of_a_request_is_written_into_the_log_as_it_is(target: Target, http: httpx.Client) -> None:
    """Whoever may write lines of the log can hide among them; and what people look for is their own affair."""
    before = target.log.stat().st_size
    http.post("/graphql", json={"query": '{ allFile(a: """\n{"event": "forged"}\n""") }'})
    query = "query ($t: Int!) { allFiles(limit: $t) { id } }"
    http.post("/graphql", json={"query": query, "variables": {"t": "a wish"}})
    http.get("/v1/search", params={"text": "a wish", "first": 1})
    lines = written(target, before, lines=3)
    assert [json.loads(line)["event"] for line in lines if line] == ["answered"] * 3
    assert "wish" not in "".join(lines)
