"""What the API counts, and who may read it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from core.settings import Settings, SettingsError
from tests.unit.api.fakes import SCRAPER_TOKEN, Parts, picture_of

SCRAPER = {"Authorization": f"Bearer {SCRAPER_TOKEN}"}


def read(client: TestClient, name: str, **labels: str) -> float:
    """The sum of the samples of a name that bear these labels."""
    answer = client.get("/metrics", headers=SCRAPER)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def search(client: TestClient, text: str = "like 7") -> None:
    query = "query ($t: String!) { searchByText(text: $t) { exact } }"
    assert client.post("/graphql", json={"query": query, "variables": {"t": text}}).json()["data"]


def test_only_the_scraper_may_read(client: TestClient) -> None:
    for given in ({}, {"Authorization": "Bearer another"}, {"Authorization": SCRAPER_TOKEN}, dict(client.headers)):
        answer = client.get("/metrics", headers={"Authorization": "", **given})
        assert (answer.status_code, answer.json()["code"]) == (401, "security.unauthenticated")
        assert "tejido_api" not in answer.text
    answer = client.get("/metrics", headers=SCRAPER)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


def test_without_a_token_there_is_nothing_to_read(parts: Parts) -> None:
    with TestClient(create_app(replace(parts.services, metrics_token=None))) as client:
        for headers in ({}, SCRAPER, {"Authorization": "Bearer None"}):
            assert client.get("/metrics", headers=headers).status_code == 404


@pytest.mark.parametrize("content", ["", "short\n", None])
def test_a_token_that_lets_everybody_in_is_refused(content: str | None, tmp_path: pytest.TempPathFactory) -> None:
    file = tmp_path / "token"  # type: ignore[operator]
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match="TEJIDO_METRICS_TOKEN_FILE"):
        Settings(_env_file=None, metrics_token_file=file).metrics_token()


def test_requests_are_timed_by_route_and_never_by_path(client: TestClient) -> None:
    client.get("/files/9/image")
    client.get("/files/8/image")
    client.get("/made/up/by/anybody")
    client.request("FROB", "/healthz")
    count = "tejido_api_request_seconds_count"
    assert read(client, count, method="GET", route="/files/{file_id}/image", status="200") == 2
    assert read(client, count, route="unmatched", status="404") == 1
    assert read(client, count, method="other", route="/healthz", status="405") == 1
    assert "made" not in client.get("/metrics", headers=SCRAPER).text


def test_searches_are_timed_by_kind_and_queries_by_field(client: TestClient) -> None:
    search(client)
    upload = {"operations": '{"query": "query ($u: Upload) { searchByImage(upload: $u) { exact } }"}', "map": '{"0": ["variables.u"]}'}  # fmt: skip # noqa: E501
    assert client.post("/graphql", data=upload, files={"0": picture_of(3)}).json()["data"]
    assert read(client, "tejido_api_search_seconds_count", kind="text", route="exact") == 1
    assert read(client, "tejido_api_search_seconds_count", kind="image", route="exact") == 1
    assert read(client, "tejido_api_operation_seconds_count", operation="searchByText") == 1


def test_the_cache_s_hits_and_misses_are_counted(client: TestClient) -> None:
    for _ in range(3):
        search(client, "like 8")
    assert read(client, "tejido_api_query_vectors_total", found="miss") == 1
    assert read(client, "tejido_api_query_vectors_total", found="hit") == 2


def test_errors_are_counted_by_code_wherever_they_are_told(client: TestClient, parts: Parts) -> None:
    client.post("/graphql", json={"query": "{ allFiles(limit: 0) { id } }"})
    client.post("/graphql", json={"query": "{ nothing }"})
    client.post("/graphql", content=b"x" * 300_000, headers={"Content-Type": "application/json"})
    client.get("/files/99999/image")
    parts.files.rows = [None]  # type: ignore[list-item]
    client.get("/files/9/image")
    client.post("/graphql", json={"query": "{ file(id: 1) { id } }"})
    errors = "tejido_api_errors_total"
    for code in ("api.argument_invalid", "api.query_invalid", "api.body_too_large", "api.not_found"):
        assert read(client, errors, code=code) == 1, code
    assert read(client, errors, code="api.unexpected") == 2


def test_the_live_index_and_its_model_are_named(client: TestClient, parts: Parts) -> None:
    named = {"index_version": "1", "model_name": "fashion-clip", "model_version": "1"}
    assert read(client, "tejido_api_index_info", **named) == 1
    parts.switch_to(2, "5")
    assert read(client, "tejido_api_index_info", **named) == 0
    assert read(client, "tejido_api_index_info", index_version="2", model_version="5") == 1
    assert read(client, "tejido_api_index_products") == 300


def test_without_an_index_search_is_not_ready(parts: Parts) -> None:
    with TestClient(create_app(parts.services)) as client:
        assert read(client, "tejido_api_search_ready") == 0


def test_the_connections_to_the_database_are_those_of_the_pool(parts: Parts) -> None:
    stats = {"pool_size": 5, "pool_available": 2, "pool_max": 8, "requests_num": 7, "requests_wait_ms": 1500}
    with TestClient(create_app(replace(parts.services, connections=lambda: stats))) as client:
        assert read(client, "tejido_api_pool_connections", state="used") == 3
        assert read(client, "tejido_api_pool_connections", state="idle") == 2
        assert read(client, "tejido_api_pool_requests_total") == 7
        assert read(client, "tejido_api_pool_wait_seconds_total") == 1.5
