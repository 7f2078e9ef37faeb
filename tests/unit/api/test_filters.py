"""The filter of a search: lists, years from and to, owners; and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

SEARCH = """query ($filter: FileFilter) {
  searchByText(text: "like 7", first: 100, filter: $filter) {
    exact route recall matching edges { node { id baseColour } } } }"""


def ask(client: TestClient, wanted: dict[str, Any]) -> Any:
    return client.post("/graphql", json={"query": SEARCH, "variables": {"filter": wanted}}).json()


def colours(client: TestClient, wanted: dict[str, Any]) -> set[str]:
    answer = ask(client, wanted)["data"]["searchByText"]
    assert answer["matching"] >= len(answer["edges"])
    return {edge["node"]["baseColour"] for edge in answer["edges"]}


def test_a_list_asks_for_one_of_its_values_and_a_value_stands_for_a_list_of_one(client: TestClient) -> None:
    assert colours(client, {"baseColour": ["Black", "Blue"]}) == {"Black", "Blue"}
    assert colours(client, {"baseColour": "Blue"}) == colours(client, {"baseColour": ["Blue"]}) == {"Blue"}


def test_an_answer_says_which_way_it_took_and_how_much_such_searches_find(client: TestClient) -> None:
    answer = ask(client, {"baseColour": "Blue"})["data"]["searchByText"]
    assert (answer["exact"], answer["route"], answer["recall"]) == (True, "exact", 1.0)
    assert answer["matching"] == len(answer["edges"]) == 75


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"baseColour": []}, "The filter base_colour has 0 values."),
        ({"baseColour": [str(n) for n in range(51)]}, "The filter base_colour has 51 values."),
        ({"baseColour": ["a" * 400]}, "baseColour has 400 characters."),
        ({"year": ["MMXII"]}, "year is 'MMXII'."),
        ({"yearFrom": 2013, "yearTo": 2012}, "The filter year runs from 2013 to 2012."),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(client: TestClient, wanted: dict[str, Any], message: str) -> None:
    (error,) = ask(client, wanted)["errors"]
    assert (error["extensions"]["code"], error["message"]) == ("api.argument_invalid", message)
    assert error["extensions"]["hint"]
