"""Searches by words and by picture: the right product first, in pages that fit together, in one vector space."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.unit.api.fakes import Parts, picture_of

TEXT = """query ($text: String!, $limit: Int, $after: String, $filter: FileFilter) {
  searchByText(text: $text, limit: $limit, after: $after, filter: $filter) {
    indexVersion modelVersion modelHash catalogueVersion exact truncated nextCursor
    hits { score product { id baseColour } } } }"""
IMAGE = """query ($image: String, $upload: Upload) {
  searchByImage(image: $image, upload: $upload, limit: 3) { hits { score product { id } } } }"""


def search(client: TestClient, **variables: Any) -> Any:
    body = {"query": TEXT, "variables": {"limit": 5, **variables}}
    answer = client.post("/graphql", json=body).json()
    assert "errors" not in answer, answer
    return answer["data"]["searchByText"]


def refusal(client: TestClient, query: str, **variables: Any) -> dict[str, str]:
    (error,) = client.post("/graphql", json={"query": query, "variables": variables}).json()["errors"]
    return {"message": error["message"], **error["extensions"]}


def ids(answer: Any) -> list[int]:
    return [hit["product"]["id"] for hit in answer["hits"]]


def upload(client: TestClient, data: bytes, *, places: str = '{"0": ["variables.upload"]}') -> Any:
    operations = json.dumps({"query": IMAGE, "variables": {"upload": None}})
    files = {"0": ("photo.jpg", data, "image/jpeg")}
    return client.post("/graphql", data={"operations": operations, "map": places}, files=files)


def test_words_find_their_product_first(client: TestClient) -> None:
    answer = search(client, text="  like   7 ")
    assert answer["hits"][0] == {"score": pytest.approx(1, abs=1e-6), "product": {"id": 7, "baseColour": "Black"}}
    assert (answer["indexVersion"], answer["modelVersion"], answer["exact"]) == (1, "1", True)
    assert (answer["modelHash"], answer["catalogueVersion"]) == ("", "v1")
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_pages_neither_skip_nor_repeat(client: TestClient) -> None:
    whole = ids(search(client, text="like 7", limit=100))
    found: list[int] = []
    after = None
    for _ in range(20):
        page = search(client, text="like 7", after=after)
        found += ids(page)
        after = page["nextCursor"]
    assert found == whole


def test_the_last_page_says_so(client: TestClient) -> None:
    page = search(client, text="like 7", filter={"baseColour": "Red"}, limit=75)
    assert len(page["hits"]) == 75
    assert (page["nextCursor"], page["truncated"]) == (None, False)


def test_a_filter_holds_for_every_hit(client: TestClient) -> None:
    answer = search(client, text="like 7", filter={"baseColour": "Red", "year": "2012"})
    assert answer["hits"] == []
    answer = search(client, text="like 7", filter={"baseColour": "Green", "year": "2012"}, limit=50)
    assert {hit["product"]["baseColour"] for hit in answer["hits"]} == {"Green"}


def test_a_cursor_serves_only_the_search_that_gave_it(client: TestClient, parts: Parts) -> None:
    cursor = search(client, text="like 7")["nextCursor"]
    for variables in ({"text": "like 8"}, {"text": "like 7", "filter": {"baseColour": "Red"}}):
        assert refusal(client, TEXT, after=cursor, **variables)["code"] == "api.argument_invalid"
    for forged in ("", "x", "!!", "MS4x", cursor[:-3], "a" * 10_000, "é"):
        assert refusal(client, TEXT, text="like 7", after=forged)["code"] == "api.argument_invalid"
    parts.switch_to(2, "2")
    assert "index has changed" in refusal(client, TEXT, text="like 7", after=cursor)["message"]


def test_paging_ends_where_the_index_has_nothing_to_say(client: TestClient, parts: Parts) -> None:
    parts.files.rows = [found for found in parts.files.rows for _ in range(5)]
    page = search(client, text="like 7", limit=100)
    for _ in range(9):
        page = search(client, text="like 7", limit=100, after=page["nextCursor"])
    assert page["nextCursor"] is None
    assert page["truncated"] is True


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "x" * 301, "a\x00b", "\u200b"])
def test_words_that_are_none_are_refused(client: TestClient, text: str) -> None:
    assert refusal(client, TEXT, text=text)["code"] == "api.argument_invalid"


def test_words_in_any_script_are_words(client: TestClient) -> None:
    assert ids(search(client, text="vestido azul marino, talla única — 青い 7"))[0] == 7


@pytest.mark.parametrize("limit", [0, -1, 101, 300_000])
def test_a_page_has_one_to_a_hundred_hits(client: TestClient, limit: int) -> None:
    assert refusal(client, TEXT, text="like 7", limit=limit)["code"] == "api.argument_invalid"


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
