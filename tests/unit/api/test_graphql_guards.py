"""Queries made to exhaust or to probe the server are refused, quickly, whatever their form."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

import api.graphql
from api.errors import QueryRejected, RequestInvalid
from api.graphql import REFUSED_S
from api.guards import MAX_OPENED, MAX_TOKENS, check_document
from tests.unit.api.fakes import Parts


def bomb(fragments: int) -> str:
    """Fragments that each spread the next one twice: 2ⁿ visits for whoever follows them."""
    spreads = " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(fragments))
    return f"{{ ...f0 }} {spreads} fragment f{fragments} on Query {{ allFiles {{ id }} }}"


def test_an_ordinary_query_passes() -> None:
    check_document("query Q($a: [Int!]! = [1], $b: In = {x: {y: 1}}) { a: f(i: $a) { ...F ... on T { id } } }")
    check_document("fragment F on T { id } query fragment { f { ...F } }")


@pytest.mark.parametrize(
    "document",
    [
        bomb(20),
        "query a { id } query b { id }",
        "{ id } { id }",
        "query fragment { id } query fragment { id }",
        "{ id } mutation { id }",
        "{" + "... on Query {" * 21 + "id" + "}" * 22,
        "{" + "a {" * 200 + "id" + "}" * 201,
        "{ f(a: " + "[" * 500 + "]" * 500 + ") }",
        "{" + " id" * 2000 + "}",
        "".join(f"fragment f{n} on Query {{ id }} " for n in range(11)) + "{ id }",
        "{ id }" + "\n#" * 1_000,
        "{ allFiles(limit: " + "1" * 5_000 + ") { id } }",
        "{" + " id" * 100 + "}",
        "{" + " files { id }" * 60 + "}",
        '{ f(a: "' + "a" * 17_000 + '") }',
    ],
    ids=lambda document: document[:30],
)
def test_a_document_beyond_a_limit_is_rejected(document: str) -> None:
    with pytest.raises(QueryRejected) as caught:
        check_document(document)
    assert caught.value.hint


@pytest.mark.parametrize("document", ["{ id \x00 }", '{ f(a: "unterminated) }', "{ ? }"])
def test_what_is_not_even_graphql_is_refused(document: str) -> None:
    with pytest.raises(RequestInvalid):
        check_document(document)


def test_the_guard_is_linear() -> None:
    begun = time.perf_counter()
    with pytest.raises(QueryRejected):
        check_document("{" + "(" * 250_000)
    with pytest.raises(QueryRejected):
        check_document("{" + "a " * 125_000)
    assert time.perf_counter() - begun < 0.2


@pytest.mark.parametrize("size", [8, 9, 20])
def test_a_fragment_bomb_is_answered_at_once(client: TestClient, size: int) -> None:
    begun = time.perf_counter()
    answer = client.post("/graphql", json={"query": bomb(size)})
    assert time.perf_counter() - begun < 1.0
    assert answer.status_code == (400 if size > 9 else 200)


def test_fragments_that_spread_each_other_are_refused(client: TestClient) -> None:
    query = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }"
    assert client.post("/graphql", json={"query": query}).json()["errors"]


def test_too_many_aliases_are_refused(client: TestClient, parts: Parts) -> None:
    query = "{" + " ".join(f"a{n}: allFiles {{ id }}" for n in range(11)) + "}"
    (error,) = client.post("/graphql", json={"query": query}).json()["errors"]
    assert "aliases" in error["message"]
    assert parts.files.asked == 0


@pytest.mark.parametrize(
    ("body", "waits"),
    [
        (b'{"query": "{ allFiles(limit: 1) { id } }"}', []),
        (b'{"query": "{ searchByText(text: \\"like 7\\") { exact } }"}', []),
        (b'{"query": "{ nothing }"}', [REFUSED_S]),
        (b'{"query": "{ files(first: 0) { totalCount } }"}', [REFUSED_S]),
        (b'{"query": "%s"}' % (b"{" * 40), [REFUSED_S]),
        (b"no JSON", [REFUSED_S]),
    ],
)
def test_who_is_refused_is_told_a_moment_later(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, body: bytes, waits: list[float]
) -> None:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(api.graphql, "sleep", wait)
    client.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert waited == waits


@pytest.mark.parametrize("query", ["{ __schema { types { name } } }", '{ __type(name: "Query") { name } }'])
def test_the_schema_cannot_be_read_over_the_wire(client: TestClient, query: str) -> None:
    answer = client.post("/graphql", json={"query": query}).json()
    assert answer["data"] is None
    assert "introspection" in answer["errors"][0]["message"]


def test_a_wrong_name_brings_no_suggestions(client: TestClient) -> None:
    answer = client.post("/graphql", json={"query": "{ allFile { idd } }"}).json()
    assert "Did you mean" not in str(answer)
    assert answer["errors"][0]["extensions"]["code"] == "api.query_invalid"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH"])
def test_only_post_is_answered(client: TestClient, method: str) -> None:
    answer = client.request(method, "/graphql", params={"query": "{ allFiles { id } }"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_there_is_no_websocket(client: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/graphql", ["graphql-transport-ws"]):
        pass


def test_there_are_no_subscriptions(client: TestClient) -> None:
    answer = client.post("/graphql", json={"query": "subscription { allFiles { id } }"})
    assert (answer.status_code, answer.json()["code"]) == (400, "api.request_invalid")


def test_a_query_is_no_mutation(client: TestClient) -> None:
    (error,) = client.post("/graphql", json={"query": "mutation { allFiles { id } }"}).json()["errors"]
    assert error["extensions"]["code"] == "api.query_invalid"


def test_an_operation_that_is_not_there_is_a_bad_request(client: TestClient) -> None:
    answer = client.post("/graphql", json={"query": "query A { allFiles { id } }", "operationName": "B"})
    assert (answer.status_code, answer.json()["code"]) == (400, "api.request_invalid")


NESTED = '{"query":"{ allFiles { id } }","variables":{"a":' + "[" * 100_000 + "]" * 100_000 + "}}"


@pytest.mark.parametrize(
    "body",
    [
        NESTED,
        "[" * 100_000,
        "",
        "null",
        "7",
        "[]",
        '"text"',
        "{",
        "{}",
        '{"query": 7}',
        '{"query": null}',
        '{"query": "{ id }", "variables": []}',
        '{"query": "{ id }", "variables": {"a": NaN}}',
        '{"query": "{ id }", "operationName": 7}',
        '{"query": "{ id }", "surprise": 1}',
        '[{"query": "{ allFiles { id } }"}]',
        b"\xff\xfe\x00",
    ],
    ids=lambda body: str(body[:40]),
)
def test_a_body_that_is_no_request_is_a_bad_request(client: TestClient, body: Any) -> None:
    answer = client.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "api.request_invalid"
    assert answer.json()["hint"]


def test_variables_nested_as_deep_as_json_allows_are_no_server_error(client: TestClient) -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = [deep]
    body = {"query": 'query ($a: FileFilter) { searchByText(text: "like 1", filter: $a) { exact } }'}
    answer = client.post("/graphql", json={**body, "variables": {"a": deep}})
    assert (answer.status_code, answer.json()["code"]) == (400, "api.query_rejected")


@pytest.mark.parametrize(
    "variables",
    [{"a": [0] * 2_000}, {"a": {str(number): 0 for number in range(2_000)}}, {"a": [[0] * 100] * 20}],
    ids=["list", "object", "lists"],
)
def test_variables_of_too_many_values_are_rejected(client: TestClient, parts: Parts, variables: Any) -> None:
    answer = client.post("/graphql", json={"query": "{ allFiles { id } }", "variables": variables})
    assert (answer.status_code, answer.json()["code"]) == (400, "api.query_rejected")
    assert parts.files.asked == 0


def test_a_wrong_variable_brings_no_suggestions(client: TestClient) -> None:
    query = 'query ($f: FileFilter) { searchByText(text: "x", filter: $f) { exact } }'
    answer = client.post("/graphql", json={"query": query, "variables": {"f": {"gende": 1}}})
    assert "unknown field" in answer.text
    assert "Did you mean" not in answer.text


def test_a_document_of_many_errors_is_answered_with_the_first_of_them(client: TestClient) -> None:
    query = "{" + " ".join(f"f{number}" for number in range(400)) + "}"
    errors = client.post("/graphql", json={"query": query}).json()["errors"]
    assert len(errors) == 11
    assert "aborted" in errors[-1]["message"]


def test_nothing_that_a_caller_writes_is_a_line_of_the_log(
    client: TestClient, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    forged = '\n{"event": "promoted", "level": "info"}\n'
    query = "query ($f: FileFilter) { searchByText(text: 1, filter: $f) { exact } }"
    client.post("/graphql", json={"query": f'{{ allFile(a: """{forged}""") }}'})
    client.post("/graphql", json={"query": query, "variables": {"f": {"x": "a secret wish"}}})
    client.post("/graphql", json={"query": query.replace("1", '"x"'), "variables": {"f": {"x": "a secret wish"}}})
    written = capfd.readouterr().err + caplog.text
    assert "answered" in written
    assert "promoted" not in written
    assert "wish" not in written


def test_a_query_of_more_than_256_kilobytes_is_too_large(client: TestClient) -> None:
    body = json.dumps({"query": "{ allFiles { id } }", "operationName": "x" * 300_000})
    answer = client.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "api.body_too_large")
    chunks = (b" " * 10_000 for _ in range(100))
    answer = client.post("/graphql", content=chunks, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_a_login_form_has_no_need_of_megabytes(anonymous: TestClient) -> None:
    answer = anonymous.post("/auth/token", data={"username": "ana", "password": "x" * 20_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "api.body_too_large")


LISTS = {
    "the same list by other names": "{ a: allFiles(limit: 100) { id } b: allFiles(limit: 100) { id } "
    "c: allFiles(limit: 1) { id } }",
    "lists of other kinds": "{ allFiles(limit: 100) { id } files { totalCount } "
    'searchByText(text: "like 1", first: 100) { exact } }',
    "what is asked for without saying how much": "{ " + " ".join(f"a{n}: allFiles {{ id }}" for n in range(5)) + " }",
    "in a fragment": "{ ...a ...b } fragment a on Query { allFiles(limit: 100) { id } } "
    "fragment b on Query { b: allFiles(limit: 100) { id } c: allFiles(limit: 1) { id } }",
}


@pytest.mark.parametrize("lists", LISTS)
def test_a_document_has_so_many_rows_in_all(client: TestClient, lists: str) -> None:
    answer = client.post("/graphql", json={"query": LISTS[lists]}).json()
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "api.query_rejected"
    assert "200 rows in all" in answer["errors"][0]["message"]


def test_two_whole_pages_may_be_asked_for(client: TestClient) -> None:
    answer = client.post(
        "/graphql", json={"query": "{ a: allFiles(limit: 100) { id } b: allFiles(limit: 100) { id } }"}
    )
    assert "errors" not in answer.json()


def test_more_comments_than_tokens_are_refused_before_they_are_read(client: TestClient) -> None:
    answer = client.post("/graphql", json={"query": "{ allFiles(limit: 1) { id } }" + "\n#" * (MAX_TOKENS + 1)})
    assert (answer.status_code, answer.json()["code"]) == (400, "api.query_rejected")
    assert "comments" in answer.json()["message"]


def test_a_body_of_too_many_lists_is_refused_before_it_is_read(client: TestClient) -> None:
    body = json.dumps({"query": "{ allFiles(limit: 1) { id } }", "variables": {"r": [[]] * MAX_OPENED}})
    answer = client.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "api.request_invalid")
    assert "lists and objects" in answer.json()["message"]
