"""What cannot be answered, sent to a real API: each is one clear typed error, and never a 500."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.integration.api.stacks import Loaded, ask, make_model_and_index, signed_in, until_ready

pytestmark = pytest.mark.integration

TEXT = """query ($text: String!, $first: Int, $after: String, $filter: FileFilter) {
  searchByText(text: $text, first: $first, after: $after, filter: $filter) {
    edges { node { id } } pageInfo { endCursor } } }"""
IMAGE = "query ($image: String!) { searchByImage(image: $image) { edges { node { id } } } }"
UPLOAD = "query ($upload: Upload!) { searchByImage(upload: $upload) { edges { node { id } } } }"
BY_FILTERS = "query ($c: String) { filesByFilters(baseColour: $c) { id } }"
FILES = "query ($first: Int, $after: String) { files(first: $first, after: $after) { edges { node { id } } } }"
SQL = "'; DROP TABLE fashion_files; --"


@pytest.fixture(scope="module")
def searching(loaded: Loaded) -> Loaded:
    """The stack with an index."""
    make_model_and_index(loaded.settings)
    with signed_in(loaded, "ana") as http:
        until_ready(http)
    return loaded


@pytest.fixture(scope="module")
def http(searching: Loaded) -> Iterator[httpx.Client]:
    """Signed in once: from one address one may do so forty times in five minutes."""
    with signed_in(searching, "ana") as client:
        yield client


def jpeg(side: int = 64) -> bytes:
    """Noise, so that it does not shrink."""
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def bomb() -> bytes:
    """A small file of 400 megapixels."""
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def refusal(http: httpx.Client, query: str, **variables: Any) -> dict[str, Any]:
    """The one error of a request that must fail."""
    answer = http.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code in (200, 400), answer.text
    (error,) = answer.json()["errors"]
    return dict(error)


def uploaded(http: httpx.Client, name: str, data: bytes) -> httpx.Response:
    """A multipart search."""
    operations = json.dumps({"query": UPLOAD, "variables": {"upload": None}})
    return http.post(
        "/graphql",
        data={"operations": operations, "map": json.dumps({"0": ["variables.upload"]})},
        files={"0": (name, data, "image/jpeg")},
    )


@pytest.mark.parametrize(
    ("query", "variables", "says"),
    [
        (TEXT, {"text": ""}, "text is empty"),
        (TEXT, {"text": " \n\t "}, "text is empty"),
        (TEXT, {"text": "x" * 10_000}, "10000 characters"),
        (TEXT, {"text": "red\u0000dress"}, "cannot be printed"),
        (TEXT, {"text": "red dress", "first": 0}, "first is 0"),
        (TEXT, {"text": "red dress", "first": -1}, "first is -1"),
        (TEXT, {"text": "red dress", "first": 10_000}, "first is 10000"),
        (TEXT, {"text": "red dress", "after": "not a cursor"}, "after"),
        (TEXT, {"text": "red dress", "filter": {"baseColour": ["Ultraviolet"]}}, "No product has the base colour"),
        (TEXT, {"text": "red dress", "filter": {"year": ["2999"]}}, "No product has the year"),
        (TEXT, {"text": "red dress", "filter": {"gender": [SQL]}}, "No product has the gender"),
        (TEXT, {"text": "red dress", "filter": {"season": []}}, "season"),
        (BY_FILTERS, {"c": "Ultraviolet"}, "No product has the base colour"),
        (BY_FILTERS, {"c": SQL}, "No product has the base colour"),
        (FILES, {"first": 0}, "first is 0"),
        (FILES, {"first": -1}, "first is -1"),
        (FILES, {"first": 10_000}, "first is 10000"),
        (FILES, {"after": "bm90IGEgY3Vyc29y"}, "after"),
        ("{ allFiles(limit: -1) { id } }", {}, "limit is -1"),
    ],
)
def test_an_argument_out_of_range_is_named(
    http: httpx.Client, query: str, variables: dict[str, Any], says: str
) -> None:
    error = refusal(http, query, **variables)
    assert error["extensions"]["code"] == "api.argument_invalid"
    assert says in error["message"]
    assert error["extensions"]["hint"]


def test_a_cursor_of_another_search_is_refused(http: httpx.Client) -> None:
    cursor = ask(http, TEXT, text="red dress", first=2)["searchByText"]["pageInfo"]["endCursor"]
    assert refusal(http, TEXT, text="blue shirt", after=cursor)["extensions"]["code"] == "api.argument_invalid"
    assert refusal(http, FILES, after=cursor)["extensions"]["code"] == "api.argument_invalid"


@pytest.mark.parametrize(
    "text",
    ["👗🔴", "vestido rojo de algodón para niña", SQL, "%s %(text)s {x}", "<script>alert(1)</script>", "x" * 300],
)
def test_any_other_words_are_answered(http: httpx.Client, text: str) -> None:
    assert len(ask(http, TEXT, text=text, first=3)["searchByText"]["edges"]) == 3


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("truncated.jpg", jpeg()[:-400]),
        ("half.jpg", jpeg()[: len(jpeg()) // 2]),
        ("bomb.jpg", bomb()),
        ("document.jpg", b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"),
        ("words.jpg", b"not a picture"),
        ("empty.jpg", b""),
    ],
)
def test_a_picture_that_is_none_is_refused(http: httpx.Client, name: str, data: bytes) -> None:
    answer = uploaded(http, name, data)
    assert answer.status_code == 200, answer.text
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "api.image_invalid"
    assert refusal(http, IMAGE, image=base64.b64encode(data).decode())["extensions"]["code"] == "api.image_invalid"


def test_twenty_megabytes_are_turned_away_before_they_are_read(http: httpx.Client) -> None:
    for answer in (
        uploaded(http, "large.jpg", b"\xff\xd8\xff" + bytes(20 * 2**20)),
        http.post("/graphql", content=b"{" + b" " * (20 * 2**20), headers={"Content-Type": "application/json"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (413, "api.body_too_large")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"not json",
        b"[" * 100_000,
        b'{"query": 7}',
        b'{"query": "{"}',
        b'{"query": "{ nothing }"}',
        b'{"query": "{ \\ud800 }"}',
        b'{"query": "{ allFiles(limit: \\"\\ud800\\") { id } }"}',
        b'{"query": "query ($t: String!) { searchByText(text: $t) { route } }", "variables": {"t": "\\ud800"}}',
        b"\xff\xfe",
    ],
)
def test_a_body_that_is_no_query_is_refused(http: httpx.Client, content: bytes) -> None:
    answer = http.post("/graphql", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400), answer.text
    body = answer.json()
    code = body["code"] if "code" in body else body["errors"][0]["extensions"]["code"]
    assert code in ("api.request_invalid", "api.query_invalid", "api.argument_invalid")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v1/search?text=", "text is empty"),
        ("/v1/search?text=red&first=0", "first"),
        ("/v1/search?text=red&first=10000", "first"),
        ("/v1/search?text=red&base_colour=Ultraviolet", "No product has the base colour"),
        ("/v1/files?gender=%27;--", "No product has the gender"),
        ("/v1/files?after=nonsense", "after"),
        ("/v1/facets?year=2999", "No product has the year"),
    ],
)
def test_rest_refuses_alike(http: httpx.Client, path: str, says: str) -> None:
    answer = http.get(path)
    assert answer.status_code in (400, 422), answer.text
    assert says in answer.text
    assert answer.json()["code"] in ("api.argument_invalid", "api.request_invalid")
