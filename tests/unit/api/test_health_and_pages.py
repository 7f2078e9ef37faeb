"""Health, pages, pictures, and the shape of every answer."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from api.health import Readiness
from api.pages import WEB
from tests.unit.api.fakes import READER, Parts, picture_of

MODULE_LINES = 200


def test_the_process_lives_whatever_else_does(anonymous: TestClient, parts: Parts) -> None:
    parts.files.is_down = parts.valkey.is_down = True
    assert anonymous.get("/healthz").json() == {"status": "alive"}


def test_ready_means_that_every_part_answers(anonymous: TestClient) -> None:
    answer = anonymous.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    assert set(answer.json()["parts"]) == {"database", "search"}


def test_unready_says_which_part_is_missing_and_names_no_host(anonymous: TestClient, parts: Parts) -> None:
    parts.files.is_down = True
    answer = anonymous.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["database"] == {"ready": False, "missing": "does not answer"}
    assert answer.json()["parts"]["search"]["ready"] is True
    assert "secret-host" not in answer.text


def test_before_anything_is_indexed_the_api_serves_files_but_is_not_ready(app: FastAPI, parts: Parts) -> None:
    token = parts.tokens.issue("ana", ["reader"])
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.get("/readyz").json()["parts"]["search"]["missing"] == "no index is live"
        assert client.post("/graphql", json={"query": "{ allFiles(limit: 1) { id } }"}).json()["data"]
        answer = client.post("/graphql", json={"query": '{ searchByText(text: "like 7") { exact } }'}).json()
        assert answer["errors"][0]["extensions"]["code"] == "api.search_not_ready"


def test_a_part_that_hangs_does_not_hang_the_answer(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.health.PATIENCE_S", 0.1)
    object.__setattr__(parts.services, "readiness", Readiness({"slow": lambda: time.sleep(2)}))
    with TestClient(create_app(parts.services)) as client:
        begun = time.monotonic()
        answer = client.get("/readyz")
        assert time.monotonic() - begun < 1
    assert answer.json()["parts"]["slow"]["ready"] is False


def test_the_picture_of_a_product_is_the_published_file(client: TestClient) -> None:
    answer = client.get("/files/9/image")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.content == picture_of(9)
    again = client.get("/files/9/image", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert answer.headers["cache-control"].startswith("private")


@pytest.mark.parametrize("number", [0, 51, 99_999])
def test_a_product_without_a_picture_is_not_found(client: TestClient, number: int) -> None:
    answer = client.get(f"/files/{number}/image")
    assert (answer.status_code, answer.json()["code"]) == (404, "api.not_found")


def test_a_picture_that_was_exchanged_is_not_served(client: TestClient, parts: Parts) -> None:
    class Exchanged:
        def picture(self, s3_path: str) -> bytes:
            return picture_of(1)

    object.__setattr__(parts.services.pictures, "store", Exchanged())
    assert client.get("/files/1/image").status_code == 200
    assert client.get("/files/9/image").status_code == 404


@pytest.mark.parametrize(
    "path", ["/nothing", "/web/", "/web/../app.py", "/web/%2e%2e/app.py", "/files/x/image", "/redoc"]
)
def test_every_error_has_the_one_shape(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert set(answer.json()) == {"code", "message", "hint"}


def test_an_unexpected_error_says_nothing_about_itself(client: TestClient, parts: Parts) -> None:
    parts.files.rows = [None]  # type: ignore[list-item]
    answer = client.get("/files/9/image")
    assert (answer.status_code, answer.json()["code"]) == (500, "api.unexpected")
    assert "NoneType" not in answer.text


@pytest.mark.parametrize("path", ["/", "/federation", "/docs", "/healthz", "/graphql", "/web/search.js", "/nothing"])
def test_every_answer_forbids_what_pages_do_not_need(anonymous: TestClient, path: str) -> None:
    headers = anonymous.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert not re.search(r"script-src[^;]*unsafe", policy)
    assert "http" not in policy.replace(READER, "")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("page", ["/", "/federation", "/docs"])
def test_pages_load_nothing_from_elsewhere_and_everything_exists(anonymous: TestClient, page: str) -> None:
    html = anonymous.get(page).text
    assert "<script>" not in html
    assert not re.search(r"\son\w+=|\sstyle=", html)
    links = re.findall(r'(?:src|href)="([^"#]+)"', html)
    assert links
    for link in links:
        assert link.startswith("/")
        assert anonymous.get(link).status_code == 200, link


def test_no_file_of_the_page_names_another_server() -> None:
    for file in WEB.iterdir():
        text = Path(file).read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://", text), file.name


@pytest.mark.parametrize("page", ["/", "/federation"])
def test_every_module_that_a_page_loads_exists_and_is_short(anonymous: TestClient, page: str) -> None:
    waiting, seen = re.findall(r'<script type="module" src="([^"]+)"', anonymous.get(page).text), set()
    while waiting:
        seen.add(path := waiting.pop())
        answer = anonymous.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8"), path
        assert len(answer.text.splitlines()) < MODULE_LINES, path
        assert "innerHTML" not in answer.text, path
        waiting += [
            f"/web/{name}" for name in re.findall(r' from "\./([\w.]+)"', answer.text) if f"/web/{name}" not in seen
        ]
    assert len(seen) > 5


def test_docs_describe_every_path_that_is_for_people(anonymous: TestClient) -> None:
    paths = anonymous.get("/openapi.json").json()["paths"]
    assert {
        "/graphql",
        "/auth/token",
        "/healthz",
        "/readyz",
        "/.well-known/jwks.json",
        "/auth/machine",
        "/auth/refresh",
        "/auth/logout",
        "/files/{file_id}/image",
        "/v1/search",
        "/v1/search/image",
        "/v1/files",
        "/v1/files/{file_id}/similar",
        "/v1/facets",
    } == set(paths)
    assert paths["/graphql"]["post"]["security"] == [{"OAuth2PasswordBearer": []}]
