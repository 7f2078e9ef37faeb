"""Questions beyond words or a picture: like a product, both together, without something, with a least score; counts."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.search import half
from tests.unit.api.fakes import COLOURS, Parts, picture_of, vector_of

HITS = (
    "{ edges { score node { id baseColour } } totalCount facets { attribute values { value products } }"
    " pageInfo { hasNextPage endCursor } }"
)


def ask(client: TestClient, field: str, arguments: str, **variables: Any) -> Any:
    types = ", ".join(f"${name}: {kind}" for name, kind in VARIABLES.items() if name in variables)
    head = f"query ({types}) " if types else ""
    body = {"query": f"{head}{{ {field}({arguments}) {HITS} }}", "variables": variables}
    return client.post("/graphql", json=body).json()


VARIABLES = {"after": "String", "image": "String", "filter": "FileFilter"}


def found(client: TestClient, field: str, arguments: str, **variables: Any) -> Any:
    answer = ask(client, field, arguments, **variables)
    assert "errors" not in answer, answer
    return answer["data"][field]


def ids(page: Any) -> list[int]:
    return [edge["node"]["id"] for edge in page["edges"]]


def ranked(query: np.ndarray[Any, np.dtype[np.float32]]) -> list[int]:
    scores = {number: float(vector_of(number, 1) @ half(query)) for number in range(1, 301)}
    return sorted(scores, key=lambda number: -scores[number])


def test_a_product_finds_those_most_like_it_and_not_itself(client: TestClient) -> None:
    expected = ranked(vector_of(7, 1))
    assert expected[0] == 7
    assert ids(found(client, "similarTo", "id: 7, first: 5")) == expected[1:6]


def test_pages_of_what_is_like_a_product_neither_skip_nor_repeat(client: TestClient) -> None:
    seen: list[int] = []
    after = None
    for _ in range(8):
        page = found(client, "similarTo", "id: 7, first: 40, after: $after", after=after)
        seen += ids(page)
        after = page["pageInfo"]["endCursor"]
    assert page["pageInfo"]["hasNextPage"] is False
    assert seen == ranked(vector_of(7, 1))[1:]


def test_a_filter_that_leaves_the_product_itself_out_costs_no_hit(client: TestClient) -> None:
    assert COLOURS[7 % 4] == "Black"
    pages = [found(client, "similarTo", "id: 7, first: 5, filter: $filter", filter={"baseColour": "Red"})]
    pages.append(
        found(
            client, "similarTo", "id: 7, first: 5, filter: $filter, after: $after",
            filter={"baseColour": "Red"}, after=pages[0]["pageInfo"]["endCursor"],
        )
    )  # fmt: skip
    expected = [number for number in ranked(vector_of(7, 1)) if number % 4 == 0]
    assert ids(pages[0]) + ids(pages[1]) == expected[:10]


def test_a_product_that_the_index_does_not_hold_is_not_found(client: TestClient) -> None:
    (error,) = ask(client, "similarTo", "id: 4000")["errors"]
    assert (error["extensions"]["code"], error["message"]) == ("api.not_found", "Product 4000 is not in the index.")


def test_words_beside_a_picture_count_by_their_weight(client: TestClient) -> None:
    picture = base64.b64encode(picture_of(7)).decode()
    by_picture, by_words = (
        found(client, "searchByImage", f'image: $image, text: "like 9", textWeight: {weight}', image=picture)
        for weight in (0, 1)
    )
    assert (ids(by_picture)[0], ids(by_words)[0]) == (7, 9)
    both = found(client, "searchByImage", 'image: $image, text: "like 9"', image=picture)
    mixed = vector_of(7, 1) + vector_of(9, 1)
    assert ids(both) == ranked(mixed / np.linalg.norm(mixed))[:20]


def test_what_it_shall_not_be_turns_the_query_away(client: TestClient) -> None:
    away = vector_of(7, 1) - 0.5 * vector_of(9, 1)
    page = found(client, "searchByText", 'text: "like 7", without: "like 9"')
    assert ids(page) == ranked(away / np.linalg.norm(away))[:20]


def test_a_least_score_ends_the_hits(client: TestClient) -> None:
    whole = found(client, "searchByText", 'text: "like 7", first: 50')
    least = whole["edges"][9]["score"] - 1e-6
    page = found(client, "searchByText", f'text: "like 7", first: 50, minScore: {least}')
    assert page["edges"] == whole["edges"][:10]
    assert page["pageInfo"]["hasNextPage"] is False


def test_counts_are_of_all_that_pass_not_of_the_page(client: TestClient) -> None:
    page = found(client, "searchByText", 'text: "like 7", first: 2')
    assert page["totalCount"] == 300
    assert page["facets"][0] == {
        "attribute": "baseColour",
        "values": [{"value": colour, "products": 75} for colour in ("Green", "Blue", "Black", "Red")],
    }
    some = found(client, "searchByText", 'text: "like 7", first: 2, filter: {baseColour: ["Red", "Blue"]}')
    assert some["totalCount"] == 150
    assert {value["value"] for value in some["facets"][0]["values"]} == {"Red", "Blue"}


def test_browsing_has_counts_too(client: TestClient, parts: Parts) -> None:
    query = "query ($filter: FileFilter) { facets(filter: $filter) { attribute values { value products } } }"
    answer = client.post("/graphql", json={"query": query, "variables": {"filter": {"baseColour": "Red"}}}).json()
    assert answer["data"]["facets"][0] == {"attribute": "baseColour", "values": [{"value": "Red", "products": 75}]}


@pytest.mark.parametrize(
    ("field", "arguments", "message"),
    [
        ("searchByText", 'text: "like 7", without: "like 7", minScore: 2', "minScore is 2.0."),
        ("searchByText", 'text: "like 7", without: " "', "without is empty."),
        ("searchByImage", 'image: "aaaa", text: "like 7", textWeight: 1.5', "textWeight is 1.5."),
        ("similarTo", "id: 7, first: 0", "first is 0."),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    client: TestClient, field: str, arguments: str, message: str
) -> None:
    (error,) = ask(client, field, arguments)["errors"]
    assert (error["extensions"]["code"], error["message"]) == ("api.argument_invalid", message)


def test_a_cursor_of_another_question_is_refused(client: TestClient) -> None:
    after = found(client, "searchByText", 'text: "like 7", first: 5')["pageInfo"]["endCursor"]
    for field, arguments in (("similarTo", "id: 7"), ("searchByText", 'text: "like 7", without: "like 9"')):
        (error,) = ask(client, field, f"{arguments}, first: 5, after: $after", after=after)["errors"]
        assert error["message"] == "after belongs to another search."
