"""REST answers as GraphQL does: the same hits, pages, permission, limits and errors, in its own spelling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from catalog.index import Variety
from tests.unit.api.fakes import COLOURS, PASSWORD, Parts, picture_of

PATHS = ("/v1/search?text=like+7", "/v1/files", "/v1/facets", "/v1/files/7/similar")


def get(client: TestClient, path: str, **parameters: Any) -> Any:
    answer = client.get(path, params=parameters or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client: TestClient, path: str, **parameters: Any) -> tuple[int, str]:
    answer = client.get(path, params=parameters or None)
    assert set(answer.json()) == {"code", "message", "hint"}
    return answer.status_code, answer.json()["code"]


def by_graphql(client: TestClient, field: str, arguments: str) -> list[int]:
    query = f"{{ {field}({arguments}) {{ edges {{ node {{ id }} }} }} }}"
    edges = client.post("/graphql", json={"query": query}).json()["data"][field]["edges"]
    return [edge["node"]["id"] for edge in edges]


def ids(answer: Any) -> list[int]:
    return [hit["product"]["id"] for hit in answer["hits"]]


def upload(client: TestClient, data: bytes, **parameters: Any) -> Any:
    return client.post("/v1/search/image", params=parameters, files={"image": ("photo.jpg", data, "image/jpeg")})


def test_words_find_what_they_find_in_graphql(client: TestClient) -> None:
    answer = get(client, "/v1/search", text="  like   7 ", first=5)
    assert ids(answer) == by_graphql(client, "searchByText", 'text: "like 7", first: 5')
    about = {name: answer[name] for name in answer if name not in ("hits", "next_cursor")}
    assert about == {
        "index_version": 1, "model_version": "1", "model_hash": "", "catalogue_version": "v1", "exact": True,
        "route": "exact", "recall": 1.0, "matching": 300, "truncated": False,
        "beside": [],
    }  # fmt: skip
    product = answer["hits"][0]["product"]
    assert (product["id"], product["product_display_name"], product["base_colour"]) == (7, "Shirt 7", "Black")
    assert "image_sha256" not in product


def test_pages_neither_skip_nor_repeat(client: TestClient) -> None:
    whole = ids(get(client, "/v1/search", text="like 7", first=60))
    found: list[int] = []
    after: dict[str, str] = {}
    for _ in range(3):
        page = get(client, "/v1/search", text="like 7", **after)
        found += ids(page)
        after = {"after": page["next_cursor"]}
    assert found == whole
    assert refused(client, "/v1/search", text="like 8", **after) == (400, "api.argument_invalid")


def test_attributes_filter_and_may_have_several_values(client: TestClient) -> None:
    answer = get(client, "/v1/search", text="like 7", base_colour=["Red", "Blue"], year_from=2012, first=100)
    assert ids(answer) == by_graphql(
        client, "searchByText", 'text: "like 7", first: 100, filter: {baseColour: ["Red", "Blue"], yearFrom: 2012}'
    )


def test_the_catalogue_is_walked_by_cursor(client: TestClient) -> None:
    seen: list[int] = []
    after: dict[str, str] = {}
    while True:
        page = get(client, "/v1/files", base_colour="Red", first=30, **after)
        assert page["total"] == 75
        seen += [file["id"] for file in page["files"]]
        if page["next_cursor"] is None:
            break
        after = {"after": page["next_cursor"]}
    assert seen == list(range(4, 301, 4))


def test_variety_is_asked_of_the_index(client: TestClient, parts: Parts) -> None:
    get(client, "/v1/search", text="like 7", hide_duplicates=True, per_brand=2)
    assert parts.index.asked_for == Variety(True, None, 2)


def test_each_hit_has_a_cursor_where_that_is_asked_for(client: TestClient) -> None:
    page = get(client, "/v1/search", text="like 7", first=5, cursors=True)
    rest = get(client, "/v1/search", text="like 7", first=2, after=page["hits"][2]["cursor"])
    assert ids(rest) == ids(page)[3:]
    assert [hit["cursor"] for hit in rest["hits"]] == [None, None]


def test_a_picture_finds_itself_and_words_beside_it_count_by_their_weight(client: TestClient) -> None:
    assert ids(upload(client, picture_of(9)).json())[0] == 9
    weighed = [ids(upload(client, picture_of(7), text="like 9", text_weight=weight).json())[0] for weight in (0, 1)]
    assert weighed == [7, 9]


def test_what_is_like_a_product_is_not_itself(client: TestClient) -> None:
    assert ids(get(client, "/v1/files/7/similar", first=5)) == by_graphql(client, "similarTo", "id: 7, first: 5")
    assert refused(client, "/v1/files/4000/similar") == (404, "api.not_found")


def test_counts_are_of_all_that_pass(client: TestClient) -> None:
    facet, *_ = get(client, "/v1/facets")["facets"]
    assert facet["attribute"] == "base_colour"
    assert {value["value"]: value["products"] for value in facet["values"]} == dict.fromkeys(COLOURS, 75)
    facet, *_ = get(client, "/v1/facets", base_colour="Red")["facets"]
    assert facet["values"] == [{"value": "Red", "products": 75}]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_answered_without_a_reader_s_token(anonymous: TestClient, parts: Parts, path: str) -> None:
    nobody = anonymous.post("/auth/token", data={"username": "nadie", "password": PASSWORD}).json()["access_token"]
    for headers in ({}, {"Authorization": "Bearer a.b.c"}, {"Authorization": f"Bearer {nobody}"}):
        answer = anonymous.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "security.unauthenticated")
    assert parts.files.asked == 0


def test_an_upload_is_not_read_before_the_token_is_verified(anonymous: TestClient) -> None:
    def body() -> Any:
        raise AssertionError("it was read")
        yield b""

    answer = anonymous.post("/v1/search/image", content=body(), headers={"Authorization": "Bearer a.b.c"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/v1/search", {"text": ""}),
        ("/v1/search", {"text": "x" * 301}),
        ("/v1/search", {"text": "a\0b"}),
        ("/v1/search", {"text": "like 7", "first": 0}),
        ("/v1/search", {"text": "like 7", "first": 10_000}),
        ("/v1/search", {"text": "like 7", "after": "x"}),
        ("/v1/search", {"text": "like 7", "min_score": 2}),
        ("/v1/search", {"text": "like 7", "without": " "}),
        ("/v1/search", {"text": "like 7", "year": "twenty"}),
        ("/v1/search", {"text": "like 7", "year_from": 2013, "year_to": 2012}),
        ("/v1/search", {"text": "like 7", "gender": "x" * 301}),
        ("/v1/search", {"text": "like 7", "gender": ["x"] + [f"{n}" for n in range(60)]}),
        ("/v1/files", {"first": 101}),
        ("/v1/files", {"after": "x"}),
        ("/v1/search", {"text": "like 7", "per_brand": 0}),
        ("/v1/files/7/similar", {"first": -1}),
    ],
)
def test_arguments_out_of_range_are_refused(client: TestClient, path: str, parameters: dict[str, Any]) -> None:
    assert refused(client, path, **parameters) == (400, "api.argument_invalid")


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/v1/search", {}),
        ("/v1/search", {"text": "like 7", "first": "many"}),
        ("/v1/search", {"text": "like 7", "baseColour": "Red"}),
        ("/v1/files", {"colour": "Red"}),
        ("/v1/files/x/similar", {}),
        ("/v1/files/-1/similar", {}),
        ("/v1/files/99999999999999999999/similar", {}),
    ],
)
def test_parameters_that_are_none_are_a_bad_request(client: TestClient, path: str, parameters: dict[str, Any]) -> None:
    assert refused(client, path, **parameters) == (400, "api.request_invalid")


def test_numbers_beyond_any_are_no_server_error(client: TestClient) -> None:
    for parameters in ({"first": 2**80}, {"year_from": 2**80}, {"year_to": -(2**80)}):
        assert client.get("/v1/files", params=parameters).status_code < 500
    for least in ("nan", "inf", "1e400"):
        assert refused(client, "/v1/search", text="like 7", min_score=least)[0] == 400


def test_an_upload_has_its_limit_and_must_be_a_picture(client: TestClient) -> None:
    assert upload(client, b"x" * 9_000_000).status_code == 413
    for broken in (b"", b"not a picture", picture_of(9)[:-200]):
        answer = upload(client, broken)
        assert (answer.status_code, answer.json()["code"]) == (400, "api.image_invalid")
    for answer in (
        client.post("/v1/search/image"),
        client.post("/v1/search/image", content=b"{}", headers={"Content-Type": "application/json"}),
        client.post("/v1/search/image", content=b"--", headers={"Content-Type": "multipart/form-data"}),
        client.post("/v1/search/image", files={"other": b"x"}),
        client.post("/v1/search/image", files={"image": b"x", "more": b"y"}),
        client.post("/v1/search/image", data={"image": "text"}, files={"more": b"y"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "api.request_invalid"), answer.text


def test_a_database_that_is_away_is_said_without_its_address(client: TestClient, parts: Parts) -> None:
    parts.files.is_down = True
    for path in PATHS:
        assert refused(client, path) == (503, "api.unavailable")
        assert "secret-host" not in client.get(path).text


def test_openapi_describes_parameters_the_upload_and_the_token(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    search = paths["/v1/search"]["get"]
    assert search["security"] == [{"OAuth2PasswordBearer": []}]
    assert {p["name"] for p in search["parameters"]} >= {"text", "first", "after", "base_colour", "year_from", "owner"}
    assert all(p["description"] for p in search["parameters"])
    assert set(search["responses"]) >= {"200", "400", "401", "503"}
    form = paths["/v1/search/image"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["image"]
    for route in paths.values():
        for operation in route.values():
            assert operation["summary"]


def test_the_log_names_the_user_and_not_what_was_asked(capsys: pytest.CaptureFixture[str], client: TestClient) -> None:
    get(client, "/v1/search", text="secret wish like 7")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if '"answered"' in line]
    assert '"user": "ana"' in line
    assert "wish" not in line


def test_a_product_of_no_split_is_shown_like_any_other(client: TestClient, parts: Parts) -> None:
    parts.files.rows[0] = replace(parts.files.rows[0], split=None, origin="published", owner="aurora")
    answer = client.get("/v1/files", params={"first": 1})
    assert answer.status_code == 200, answer.text
    assert '"split":null' in answer.text
