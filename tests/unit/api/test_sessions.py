"""A session is renewed with what its user is now; it ends by logging out, or by a refresh token that comes twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.limits import MAX_REFRESHES_PER_ADDRESS, MAX_REFRESHES_PER_TOKEN, UNCOUNTED_S, RefreshLimits
from api.revocations import Revocations
from security.refresh_tokens import FAMILY_LIFETIME_S, IDLE_S, at_rest, new_refresh_token
from tests.unit.api.fakes import PASSWORD, PASSWORD_HASH, FakeValkey, Parts

QUERY = {"query": "{ allFiles(limit: 1) { id } }"}
OVER = {
    "code": "security.session_ended",
    "message": "The session is over.",
    "hint": "Log in again: POST /auth/token.",
}


def log_in(client: TestClient, name: str = "ana") -> Any:
    return client.post("/auth/token", data={"username": name, "password": PASSWORD}).json()


def renew(client: TestClient, token: str) -> Any:
    return client.post("/auth/refresh", data={"refresh_token": token})


def opens(client: TestClient, access_token: str) -> int:
    return client.post("/graphql", json=QUERY, headers={"Authorization": f"Bearer {access_token}"}).status_code


def test_a_refresh_token_gives_the_next_pair(anonymous: TestClient) -> None:
    first = log_in(anonymous)
    answer = renew(anonymous, first["refresh_token"])
    assert answer.status_code == 200
    second = answer.json()
    assert set(second) == {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    assert (second["token_type"], second["expires_in"]) == ("bearer", 900)
    assert 0 < second["refresh_expires_in"] <= IDLE_S <= FAMILY_LIFETIME_S
    assert second["refresh_token"] != first["refresh_token"]
    assert [opens(anonymous, pair["access_token"]) for pair in (first, second)] == [200, 200]


def test_the_token_itself_is_kept_nowhere(anonymous: TestClient, parts: Parts) -> None:
    token = log_in(anonymous)["refresh_token"]
    (family,) = parts.families.families.values()
    assert set(family.tokens) == {at_rest(token)}
    assert len(token) == 43


def test_one_that_comes_twice_ends_the_session_and_its_access_tokens(anonymous: TestClient) -> None:
    first = log_in(anonymous)
    second = renew(anonymous, first["refresh_token"]).json()
    again = renew(anonymous, first["refresh_token"])
    assert (again.status_code, again.json()) == (401, OVER)
    assert again.headers["www-authenticate"] == "Bearer"
    assert (renew(anonymous, second["refresh_token"]).status_code, OVER["code"]) == (401, "security.session_ended")
    assert [opens(anonymous, pair["access_token"]) for pair in (first, second)] == [401, 401]


def test_of_fifty_at_once_one_succeeds_at_most_and_none_is_worth_anything_after(anonymous: TestClient) -> None:
    first = log_in(anonymous)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: renew(anonymous, first["refresh_token"]), range(50)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1
    assert set(statuses) == {200, 401, 429}
    (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert opens(anonymous, winner["access_token"]) == opens(anonymous, first["access_token"]) == 401
    assert renew(anonymous, winner["refresh_token"]).status_code == 401


def test_the_session_of_another_log_in_goes_on(anonymous: TestClient) -> None:
    stolen, other = log_in(anonymous), log_in(anonymous)
    for _ in range(2):
        renew(anonymous, stolen["refresh_token"])
    assert opens(anonymous, other["access_token"]) == 200
    assert renew(anonymous, other["refresh_token"]).status_code == 200


def test_logging_out_ends_refresh_and_access_tokens_at_once(anonymous: TestClient) -> None:
    pair = log_in(anonymous)
    answer = anonymous.post("/auth/logout", data={"refresh_token": pair["refresh_token"]})
    assert (answer.status_code, answer.content) == (204, b"")
    assert opens(anonymous, pair["access_token"]) == 401
    assert renew(anonymous, pair["refresh_token"]).json() == OVER


@pytest.mark.parametrize(
    "token",
    ["unknown", "é" * 43, new_refresh_token(), "x" * 5000, "a\0b"],
    ids=["unknown", "no ASCII", "of the right form", "long", "NUL"],
)
def test_tokens_that_nobody_was_given_give_and_end_nothing(anonymous: TestClient, token: str) -> None:
    answer = renew(anonymous, token)
    assert (answer.status_code, answer.json()) == (401, OVER)
    assert anonymous.post("/auth/logout", data={"refresh_token": token}).status_code == 204


def test_an_access_token_renews_nothing_and_a_refresh_token_opens_nothing(anonymous: TestClient) -> None:
    pair = log_in(anonymous)
    assert renew(anonymous, pair["access_token"]).status_code == 401
    assert opens(anonymous, pair["refresh_token"]) == 401


def test_another_role_takes_effect_at_the_next_renewal(anonymous: TestClient, parts: Parts) -> None:
    pair = log_in(anonymous)
    parts.files.put_user("ana", PASSWORD_HASH, ["curator"], client="aurora")
    pair = renew(anonymous, pair["refresh_token"]).json()
    identity = parts.services.sessions.identity(pair["access_token"])
    assert (identity.roles, identity.client) == (("curator",), "aurora")


def test_the_session_of_somebody_who_is_gone_is_over(anonymous: TestClient, parts: Parts) -> None:
    pair = log_in(anonymous)
    del parts.files.users["ana"]
    assert renew(anonymous, pair["refresh_token"]).json() == OVER
    assert opens(anonymous, pair["access_token"]) == 401


def test_a_session_that_expired_is_over_and_its_access_token_lives_out(anonymous: TestClient, parts: Parts) -> None:
    pair = log_in(anonymous)
    (family,) = parts.families.families.values()
    family.is_expired = True
    assert renew(anonymous, pair["refresh_token"]).json() == OVER
    assert opens(anonymous, pair["access_token"]) == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("path", ["/auth/token", "/auth/refresh", "/auth/logout", "/auth/nothing"])
@pytest.mark.parametrize(
    "data", [{}, {"refresh_token": "x", "username": "ana", "password": "wrong"}, {"x": "y" * 20000}]
)
def test_every_answer_about_log_ins_is_kept_by_no_cache(
    anonymous: TestClient, method: str, path: str, data: dict[str, str]
) -> None:
    answer = anonymous.request(method, path, data=data)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.status_code in (204, 400, 401, 404, 405, 413)
    if answer.status_code != 204:
        assert set(answer.json()) == {"code", "message", "hint"}


def test_an_answer_that_nobody_expected_is_kept_by_no_cache_either(
    anonymous: TestClient, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts.families, "renew", lambda *_, **__: 1 / 0)
    answer = renew(anonymous, new_refresh_token())
    assert (answer.status_code, answer.headers["cache-control"]) == (500, "no-store")


def test_renewals_are_counted_by_token_and_by_address(anonymous: TestClient) -> None:
    token = new_refresh_token()
    statuses = [renew(anonymous, token).status_code for _ in range(MAX_REFRESHES_PER_TOKEN + 1)]
    assert statuses == [401] * MAX_REFRESHES_PER_TOKEN + [429]
    left = MAX_REFRESHES_PER_ADDRESS - MAX_REFRESHES_PER_TOKEN
    assert {renew(anonymous, new_refresh_token()).status_code for _ in range(left)} == {401}
    answer = renew(anonymous, new_refresh_token())
    assert (answer.status_code, answer.json()["code"]) == (429, "api.too_many_refreshes")
    assert answer.headers["retry-after"] == "300"


def test_sessions_go_on_while_nothing_can_be_counted(anonymous: TestClient, parts: Parts) -> None:
    pair = log_in(anonymous)
    parts.valkey.is_down = True
    pair = renew(anonymous, pair["refresh_token"]).json()
    assert opens(anonymous, pair["access_token"]) == 200
    assert anonymous.post("/auth/logout", data={"refresh_token": pair["refresh_token"]}).status_code == 204
    assert opens(anonymous, pair["access_token"]) == 401


def test_counters_that_are_away_are_not_asked_again_at_once() -> None:
    now, valkey = [0.0], FakeValkey(is_down=True)
    limits = RefreshLimits(valkey, clock=lambda: now[0])
    limits.admit("token", "address")
    valkey.is_down = False
    limits.admit("token", "address")
    assert valkey.values == {}
    now[0] = UNCOUNTED_S
    limits.admit("token", "address")
    assert list(valkey.values.values()) == [1, 1]


@pytest.mark.parametrize(("method", "path"), [("POST", "/graphql"), ("GET", "/v1/files"), ("GET", "/files/1/image")])
def test_while_it_is_not_known_who_was_thrown_out_no_session_is_taken(parts: Parts, method: str, path: str) -> None:
    # Whatever it knows is too old at once.
    unsure = replace(parts.services.sessions, revocations=Revocations(parts.families.revoked, stale_s=-1))
    token = unsure.begin("ana", ["reader"], None, "198.51.100.7").access_token
    with TestClient(create_app(replace(parts.services, sessions=unsure))) as client:
        answer = client.request(method, path, headers={"Authorization": f"Bearer {token}"}, json=QUERY)
        assert (answer.status_code, answer.json()["code"]) == (503, "api.sessions_unknown")
        assert client.get("/healthz").status_code == 200


def test_a_database_that_is_away_is_said_and_costs_no_session(anonymous: TestClient, parts: Parts) -> None:
    pair = log_in(anonymous)
    parts.files.is_down = True
    answer = renew(anonymous, pair["refresh_token"])
    assert (answer.status_code, answer.json()["code"]) == (503, "api.unavailable")
    parts.files.is_down = False
    assert renew(anonymous, pair["refresh_token"]).status_code == 200
