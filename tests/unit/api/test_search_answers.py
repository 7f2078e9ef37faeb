"""Searches by words and by picture: the right product first, in pages that fit together, in one vector space."""

from __future__ import annotations

import base64
import io
import json
from functools import cache
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from catalog.index import Variety
from tests.unit.api.fakes import Parts, picture_of, vector_of

TEXT = """query ($text: String!, $first: Int, $after: String, $filter: FileFilter) {
  searchByText(text: $text, first: $first, after: $after, filter: $filter) {
    indexVersion modelVersion modelHash catalogueVersion exact truncated pageInfo { hasNextPage endCursor }
    edges { score node { id baseColour } } } }"""
IMAGE = """query ($image: String, $upload: Upload) {
  searchByImage(image: $image, upload: $upload, first: 3) { edges { score node { id } } } }"""


def search(client: TestClient, **variables: Any) -> Any:
    body = {"query": TEXT, "variables": {"first": 5, **variables}}
    answer = client.post("/graphql", json=body).json()
    assert "errors" not in answer, answer
    return answer["data"]["searchByText"]


def refusal(client: TestClient, query: str, **variables: Any) -> dict[str, str]:
    (error,) = client.post("/graphql", json={"query": query, "variables": variables}).json()["errors"]
    return {"message": error["message"], **error["extensions"]}


def ids(answer: Any) -> list[int]:
    return [edge["node"]["id"] for edge in answer["edges"]]


def upload(client: TestClient, data: bytes, *, places: str = '{"0": ["variables.upload"]}') -> Any:
    operations = json.dumps({"query": IMAGE, "variables": {"upload": None}})
    files = {"0": ("photo.jpg", data, "image/jpeg")}
    return client.post("/graphql", data={"operations": operations, "map": places}, files=files)


def test_words_find_their_product_first(client: TestClient) -> None:
    answer = search(client, text="  like   7 ")
    assert answer["edges"][0] == {"score": pytest.approx(1, abs=1e-3), "node": {"id": 7, "baseColour": "Black"}}
    assert (answer["indexVersion"], answer["modelVersion"], answer["exact"]) == (1, "1", True)
    assert (answer["modelHash"], answer["catalogueVersion"]) == ("", "v1")
    scores = [edge["score"] for edge in answer["edges"]]
    assert scores == sorted(scores, reverse=True)


def test_pages_neither_skip_nor_repeat(client: TestClient) -> None:
    whole = ids(search(client, text="like 7", first=100))
    found: list[int] = []
    after = None
    for _ in range(20):
        page = search(client, text="like 7", after=after)
        found += ids(page)
        after = page["pageInfo"]["endCursor"]
    assert found == whole


def test_the_last_page_says_so(client: TestClient) -> None:
    page = search(client, text="like 7", filter={"baseColour": "Red"}, first=75)
    assert len(page["edges"]) == 75
    assert (page["pageInfo"]["hasNextPage"], page["truncated"]) == (False, False)


def test_a_filter_holds_for_every_hit(client: TestClient) -> None:
    answer = search(client, text="like 7", filter={"baseColour": "Red", "year": "2012"})
    assert answer["edges"] == []
    answer = search(client, text="like 7", filter={"baseColour": "Green", "year": "2012"}, first=50)
    assert {edge["node"]["baseColour"] for edge in answer["edges"]} == {"Green"}


def test_a_cursor_serves_only_the_search_that_gave_it(client: TestClient, parts: Parts) -> None:
    cursor = search(client, text="like 7")["pageInfo"]["endCursor"]
    for variables in ({"text": "like 8"}, {"text": "like 7", "filter": {"baseColour": "Red"}}):
        assert refusal(client, TEXT, after=cursor, **variables)["code"] == "api.argument_invalid"
    for forged in ("", "x", "!!", "MS4x", cursor[:-3], "a" * 10_000, "é"):
        assert refusal(client, TEXT, text="like 7", after=forged)["code"] == "api.argument_invalid"
    parts.switch_to(2, "2")
    assert refusal(client, TEXT, text="like 7", after=cursor)["code"] == "api.index_changed"


def walked(client: TestClient, text: str, *, after: str | None = None, first: int = 37) -> list[int]:
    """Every product from a cursor on, page by page."""
    found: list[int] = []
    while True:
        page = search(client, text=text, first=first, after=after)
        found += ids(page)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


def test_every_product_can_be_paged_to_once_though_scores_are_equal(client: TestClient, parts: Parts) -> None:
    parts.index.vectors = {number: vector_of(1 + number % 4, 1) for number in range(1, 301)}
    found = walked(client, "like 2")
    assert sorted(found) == list(range(1, 301))
    assert found[:75] == list(range(1, 301, 4))


def test_what_a_graph_passed_over_comes_on_a_later_page(client: TestClient, parts: Parts) -> None:
    parts.index.is_exact, parts.index.passed_over = False, {7}
    first = search(client, text="like 7", first=10)
    assert 7 not in ids(first)
    parts.index.is_exact, parts.index.passed_over = True, set()
    later = walked(client, "like 7", after=first["pageInfo"]["endCursor"])
    assert later[0] == 7
    assert sorted(ids(first) + later) == list(range(1, 301))


def test_the_next_page_needs_neither_encoder_nor_cache(client: TestClient, parts: Parts) -> None:
    first = search(client, text="like 7")
    parts.valkey.is_down, encoded = True, parts.encoder.encoded
    assert len(ids(search(client, text="like 7", after=first["pageInfo"]["endCursor"]))) == 5
    assert parts.encoder.encoded == encoded


def test_variety_is_asked_of_the_index(client: TestClient, parts: Parts) -> None:
    query = """{ searchByText(text: "like 7", hideDuplicates: true, perArticleType: 3, perBrand: 2) {
        edges { cursor } } }"""
    assert "errors" not in client.post("/graphql", json={"query": query}).json()
    assert parts.index.asked_for == Variety(hide_duplicates=True, per_article_type=3, per_brand=2)
    for wrong in ("perArticleType: 0", "perBrand: -1", "perBrand: 1000"):
        refused = refusal(client, f'{{ searchByText(text: "like 7", {wrong}) {{ edges {{ cursor }} }} }}')
        assert refused["code"] == "api.argument_invalid"


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "x" * 301, "a\x00b", "\u200b"])
def test_words_that_are_none_are_refused(client: TestClient, text: str) -> None:
    assert refusal(client, TEXT, text=text)["code"] == "api.argument_invalid"


def test_words_in_any_script_are_words(client: TestClient) -> None:
    assert ids(search(client, text="vestido azul marino, talla única — 青い 7"))[0] == 7


@pytest.mark.parametrize("first", [0, -1, 101, 300_000])
def test_a_page_has_one_to_a_hundred_hits(client: TestClient, first: int) -> None:
    assert refusal(client, TEXT, text="like 7", first=first)["code"] == "api.argument_invalid"


def test_a_picture_finds_itself_in_base64_and_as_an_upload(client: TestClient) -> None:
    encoded = base64.b64encode(picture_of(9)).decode()
    for image in (encoded, f"data:image/jpeg;base64,{encoded}"):
        body = {"query": IMAGE, "variables": {"image": image}}
        assert ids(client.post("/graphql", json=body).json()["data"]["searchByImage"])[0] == 9
    assert ids(upload(client, picture_of(9)).json()["data"]["searchByImage"])[0] == 9


def test_an_upload_may_be_larger_than_a_query(client: TestClient) -> None:
    stream = io.BytesIO()
    Image.effect_noise((1500, 1500), 100).save(stream, "PNG")
    assert len(stream.getvalue()) > 1_000_000
    assert "errors" not in upload(client, stream.getvalue()).json()


def test_an_upload_has_its_limit_too(client: TestClient) -> None:
    answer = upload(client, b"x" * 9_000_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "api.body_too_large")


@cache
def broken(kind: str) -> bytes:
    whole = picture_of(9)
    if kind == "bomb":
        stream = io.BytesIO()
        Image.new("1", (20_000, 20_000)).save(stream, "PNG")
        return stream.getvalue()
    return {"truncated": whole[:-200], "text": b"not a picture at all", "gif": b"GIF89a" + bytes(50)}[kind]


@pytest.mark.parametrize("kind", ["truncated", "text", "gif", "bomb"])
def test_a_picture_that_cannot_be_used_is_refused(client: TestClient, parts: Parts, kind: str) -> None:
    (error,) = upload(client, broken(kind)).json()["errors"]
    assert error["extensions"]["code"] == "api.image_invalid"
    assert error["extensions"]["hint"]
    assert refusal(client, IMAGE, image=base64.b64encode(broken(kind)).decode())["code"] == "api.image_invalid"


def test_exactly_one_picture_is_needed(client: TestClient) -> None:
    assert refusal(client, IMAGE)["code"] == "api.argument_invalid"
    assert refusal(client, IMAGE, image="")["code"] == "api.image_invalid"
    assert refusal(client, IMAGE, image="***")["code"] == "api.image_invalid"
    assert refusal(client, IMAGE, upload="text")["code"] == "api.query_invalid"


@pytest.mark.parametrize(
    "places",
    ["", "7", "[]", '{"0": "variables.upload"}', '{"0": []}', '{"0": ["query"]}', '{"0": ["variables.a.b"]}',
     '{"1": ["variables.upload"]}', '{"0": ["variables.a", "variables.b"]}', '{"0": [7]}',
     '{"0": ["variables.upload"], "operations": ["variables.a"]}'],
)  # fmt: skip
def test_a_form_that_maps_its_file_to_anything_else_is_refused(client: TestClient, places: str) -> None:
    answer = upload(client, picture_of(9), places=places)
    assert (answer.status_code, answer.json()["code"]) == (400, "api.request_invalid")


def test_a_query_is_encoded_once_per_model(client: TestClient, parts: Parts) -> None:
    first = search(client, text="like 7")
    (key,) = (key for key in parts.valkey.values if key.startswith("tejido:vector:"))
    assert "like" not in key
    assert search(client, text="like 7") == first
    parts.switch_to(2, "2")
    second = search(client, text="like 7")
    assert (second["indexVersion"], second["modelVersion"]) == (2, "2")
    assert ids(second)[0] == 7
    assert len([key for key in parts.valkey.values if key.startswith("tejido:vector:")]) == 2


def test_losing_the_cache_costs_no_answer(client: TestClient, parts: Parts) -> None:
    first = search(client, text="like 7")
    parts.valkey.is_down = True
    assert search(client, text="like 7") == first


def test_a_damaged_cache_entry_is_not_believed(client: TestClient, parts: Parts) -> None:
    first = search(client, text="like 7")
    for damage in (b"short", bytes(32), b"\xff" * 32, "text", 7):
        parts.valkey.values.update({key: damage for key in parts.valkey.values if "vector" in key})
        assert search(client, text="like 7") == first


def test_a_product_that_left_the_catalogue_is_not_shown(client: TestClient, parts: Parts) -> None:
    whole = search(client, text="like 7")
    gone = ids(whole)[1]

    class WithoutOne:
        def files(self, numbers: list[int]) -> list[Any]:
            return [found for found in parts.files.files(numbers) if found.id != gone]

    object.__setattr__(parts.services.search, "files", WithoutOne())
    assert ids(search(client, text="like 7")) == [number for number in ids(whole) if number != gone]
