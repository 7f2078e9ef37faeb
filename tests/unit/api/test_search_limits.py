"""Searches are bounded for each user; logins that cannot be counted are refused, searches are answered."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.errors import TooManySearches
from api.limits import UNCOUNTED_S, SearchLimits
from tests.unit.api.fakes import PASSWORD, SEARCHES_PER_MINUTE, FakeValkey, Parts

SEARCH = {"query": '{ searchByText(text: "like 7", first: 1) { exact } }'}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def use_up(parts: Parts, subject: str = "ana") -> None:
    for _ in range(SEARCHES_PER_MINUTE):
        parts.services.search_limits.admit(subject)


def test_one_search_too_many_is_refused_by_rest_with_the_time_to_wait(client: TestClient, parts: Parts) -> None:
    use_up(parts)
    for path in ("/v1/search?text=like+7", "/v1/files/7/similar"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (429, "api.too_many_searches")
        assert answer.headers["retry-after"] == "60"
    assert client.get("/v1/files").status_code == 200


def test_one_search_too_many_is_refused_by_graphql_with_the_time_to_wait(client: TestClient, parts: Parts) -> None:
    use_up(parts)
    (error,) = client.post("/graphql", json=SEARCH).json()["errors"]
    assert error["extensions"]["code"] == "api.too_many_searches"
    assert error["extensions"]["retryAfter"] == 60
    assert client.post("/graphql", json={"query": "{ allFiles(limit: 1) { id } }"}).json()["data"]


def test_each_alias_is_a_search_and_each_user_has_a_count(client: TestClient, parts: Parts) -> None:
    for _ in range(SEARCHES_PER_MINUTE - 1):
        parts.services.search_limits.admit("ana")
    query = '{ a: searchByText(text: "like 7") { exact } b: similarTo(id: 7) { exact } }'
    assert len(client.post("/graphql", json={"query": query}).json()["errors"]) == 1
    client.headers["Authorization"] = f"Bearer {parts.tokens.issue('bea', ['reader'])}"
    assert "errors" not in client.post("/graphql", json={"query": query}).json()


def test_comparing_is_searching(operator: TestClient, parts: Parts) -> None:
    parts.switch_to(2, "2")
    use_up(parts, "olga")
    query = '{ compareSearch(text: "like 7", versions: ["1", "2"]) { modelVersion } }'
    (error,) = operator.post("/graphql", json={"query": query}).json()["errors"]
    assert error["extensions"]["code"] == "api.too_many_searches"


def test_losing_the_counters_costs_no_search_and_every_login(client: TestClient, parts: Parts) -> None:
    use_up(parts)
    parts.valkey.is_down = True
    assert "errors" not in client.post("/graphql", json=SEARCH).json()
    assert client.get("/v1/search", params={"text": "like 7"}).status_code == 200
    answer = client.post("/auth/token", data={"username": "ana", "password": PASSWORD})
    assert answer.json()["code"] == "api.login_unavailable"


class Slow(FakeValkey):
    """Counts how often it was asked."""

    asked: int = 0

    def increment(self, key: str, *, expires_s: int) -> Any:
        self.asked += 1
        return super().increment(key, expires_s=expires_s)


def test_counters_that_are_away_are_not_asked_in_vain_by_every_search() -> None:
    clock, counters = Clock(), Slow(is_down=True)
    limits = SearchLimits(counters, 1, clock=clock)
    clock.now = 100
    for _ in range(5):
        limits.admit("ana")
    assert counters.asked == 1
    counters.is_down = False
    clock.now += UNCOUNTED_S
    limits.admit("ana")
    with pytest.raises(TooManySearches) as caught:
        limits.admit("ana")
    assert caught.value.retry_after_s == 60


def test_without_a_limit_nothing_is_counted() -> None:
    counters = Slow()
    for _ in range(5):
        SearchLimits(counters, 0).admit("ana")
    assert counters.asked == 0


def test_a_user_s_name_is_no_key_of_their_making() -> None:
    counters = FakeValkey()
    SearchLimits(counters, 5).admit("x" * 10_000 + "\n*")
    (key,) = counters.values
    assert key.startswith("tejido:search:")
    assert len(key) < 64
