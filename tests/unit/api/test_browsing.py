"""Browsing the catalogue by cursor, in the order of ids."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.unit.api.fakes import Parts

QUERY = """query ($first: Int, $after: String, $filter: FileFilter) {
  files(first: $first, after: $after, filter: $filter) {
    edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount
    facets { attribute values { value products } } } }"""


def browse(client: TestClient, **variables: Any) -> Any:
    answer = client.post("/graphql", json={"query": QUERY, "variables": {"first": 40, **variables}}).json()
    assert "errors" not in answer, answer
    return answer["data"]["files"]


def test_every_product_is_on_one_page(client: TestClient) -> None:
    found: list[int] = []
    page = browse(client)
    assert page["pageInfo"]["hasPreviousPage"] is False
    while True:
        found += [edge["node"]["id"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        page = browse(client, after=page["pageInfo"]["endCursor"])
    assert found == list(range(1, 301))
    assert page["pageInfo"]["hasPreviousPage"] is True


def test_counts_are_of_all_that_pass(client: TestClient) -> None:
    page = browse(client, first=3, filter={"baseColour": "Red"})
    assert page["totalCount"] == 75
    assert page["facets"][0] == {"attribute": "baseColour", "values": [{"value": "Red", "products": 75}]}


def test_an_edge_s_cursor_goes_on_after_it(client: TestClient, parts: Parts) -> None:
    page = browse(client)
    del parts.files.rows[5]
    assert browse(client, after=page["edges"][4]["cursor"])["edges"][0]["node"]["id"] == 7
    assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]


def test_a_page_of_nothing_is_empty(client: TestClient) -> None:
    page = browse(client, filter={"yearTo": 1900})
    assert (page["edges"], page["totalCount"]) == ([], 0)
    assert page["pageInfo"] == {
        "hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None,
    }  # fmt: skip


@pytest.mark.parametrize("after", ["", "x", "!!", "é", "ZmlsZTotMQ", "ZmlsZToxZTk5", "a" * 10_000])
def test_what_is_no_cursor_is_refused(client: TestClient, after: str) -> None:
    (error,) = client.post("/graphql", json={"query": QUERY, "variables": {"after": after}}).json()["errors"]
    assert error["extensions"]["code"] == "api.argument_invalid"
