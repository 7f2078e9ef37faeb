"""No answer without a token, no token without a password, and no hint to those who guess."""

from __future__ import annotations

import time
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from security.passwords import needs_rehash
from security.tokens import AccessTokens
from tests.unit.api.fakes import PASSWORD, Parts

QUERY = {"query": "{ allFiles(limit: 1) { id } }"}
REFUSAL = {
    "code": "security.unauthenticated",
    "message": "No valid access token.",
    "hint": "Get one from POST /auth/token and send it as a bearer token.",
}


def log_in(client: TestClient, username: str, password: str) -> Any:
    return client.post("/auth/token", data={"username": username, "password": password})


def test_a_name_and_its_password_become_a_token_that_opens_the_api(anonymous: TestClient) -> None:
    answer = log_in(anonymous, "ana", PASSWORD)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 900)
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert anonymous.post("/graphql", json=QUERY, headers=headers).json() == {"data": {"allFiles": [{"id": 1}]}}


@pytest.mark.parametrize(
    ("username", "password"),
    [("ana", "wrong"), ("nobody", PASSWORD), ("", ""), ("ana\0", PASSWORD), ("x" * 500, PASSWORD), ("ana", "x" * 5000)],
)
def test_every_failed_login_looks_the_same(anonymous: TestClient, username: str, password: str) -> None:
    answer = log_in(anonymous, username, password)
    if username and password:
        assert (answer.status_code, answer.json()) == (401, REFUSAL)
    else:
        assert (answer.status_code, answer.json()["code"]) in [(400, "api.request_invalid"), (401, REFUSAL["code"])]


def test_a_form_without_a_password_is_refused_without_repeating_it(anonymous: TestClient) -> None:
    answer = anonymous.post("/auth/token", data={"username": "ana", "passwort": "my secret"})
    assert answer.status_code == 400
    assert "password" in answer.json()["message"]
    assert "my secret" not in answer.text


def test_the_eleventh_login_of_a_user_is_not_even_tried(anonymous: TestClient) -> None:
    assert [log_in(anonymous, "ana", "wrong").status_code for _ in range(10)] == [401] * 10
    answer = log_in(anonymous, "ana", PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (429, "api.too_many_attempts")
    assert answer.headers["retry-after"] == "300"


def test_an_address_that_tries_many_names_is_stopped_too(anonymous: TestClient) -> None:
    statuses = [log_in(anonymous, f"user{number}", "w").status_code for number in range(42)]
    assert statuses[:40] == [401] * 40
    assert statuses[40:] == [429, 429]


def test_a_right_password_forgets_the_wrong_ones(anonymous: TestClient) -> None:
    for _ in range(3):
        assert [log_in(anonymous, "ana", "wrong").status_code for _ in range(4)] == [401] * 4
        assert log_in(anonymous, "ana", PASSWORD).status_code == 200


def test_nobody_logs_in_while_attempts_cannot_be_counted(anonymous: TestClient, parts: Parts) -> None:
    parts.valkey.is_down = True
    answer = log_in(anonymous, "ana", PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (503, "api.login_unavailable")
    assert "secret-host" not in answer.text


def test_a_database_that_is_away_is_said_without_its_address(anonymous: TestClient, parts: Parts) -> None:
    parts.files.is_down = True
    answer = log_in(anonymous, "ana", PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (503, "api.unavailable")
    assert "secret-host" not in answer.text


def test_a_hash_of_older_parameters_is_renewed_at_login(anonymous: TestClient, parts: Parts) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    parts.files.put_user("ana", weak, ["reader"])
    assert log_in(anonymous, "ana", PASSWORD).status_code == 200
    assert not needs_rehash(parts.files.users["ana"].password_hash)
    assert log_in(anonymous, "ana", PASSWORD).status_code == 200


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YW5hOmFuYQ==", "Bearer null", "Bearer a.b.c"])
@pytest.mark.parametrize("path", ["/graphql", "/files/1/image"])
def test_nothing_is_answered_without_a_valid_token(anonymous: TestClient, path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    method = "POST" if path == "/graphql" else "GET"
    answer = anonymous.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()) == (401, REFUSAL)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_an_expired_token_is_refused_like_any_other(anonymous: TestClient, parts: Parts) -> None:
    hour_ago = AccessTokens(parts.tokens.keys, clock=lambda: time.time() - 3600)
    headers = {"Authorization": f"Bearer {hour_ago.issue('ana', ['reader'])}"}
    answer = anonymous.post("/graphql", json=QUERY, headers=headers)
    assert (answer.status_code, answer.json()) == (401, REFUSAL)


def test_a_token_in_the_query_string_or_a_cookie_opens_nothing(anonymous: TestClient, parts: Parts) -> None:
    token = parts.tokens.issue("ana", ["reader"])
    assert anonymous.post(f"/graphql?access_token={token}", json=QUERY).status_code == 401
    assert anonymous.post("/graphql", json=QUERY, headers={"Cookie": f"access_token={token}"}).status_code == 401


def test_a_user_without_a_reading_role_reads_nothing(anonymous: TestClient, parts: Parts) -> None:
    headers = {"Authorization": f"Bearer {parts.tokens.issue('nadie', [])}"}
    for answer in (
        anonymous.post("/graphql", json=QUERY, headers=headers),
        anonymous.get("/files/1/image", headers=headers),
        anonymous.get("/v1/files", headers=headers),
    ):
        assert (answer.status_code, answer.json()) == (401, REFUSAL)
    assert parts.files.asked == 0


def test_the_jwks_is_public_and_holds_no_secret(anonymous: TestClient) -> None:
    (key,) = anonymous.get("/.well-known/jwks.json").json()["keys"]
    assert key["alg"] == "ES256"
    assert "d" not in key
