"""The gate before the SuperLink: what passes, and what is refused before the SuperLink hears of it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from starlette.testclient import TestClient

from embedded.gate_app import gate, may_pass

LIST_NODES = "/v1/control/list-nodes"
REFUSED = [
    "/", "/health", "/metrics", "/v1", "/v1/", "/v1/fleet", "/v1/fleet/", "/v1/fleets/x", "/v1/control/list-nodes",
    "/v1/runtime/pull", "//v1/fleet/x", "/v1//fleet/x", "/v1/fleet//x", "/v1/fleet/../control/list-nodes",
    "/v1/fleet/./x", "/v1/fleet/%2e%2e/control/list-nodes", "/v1/fleet/%2E%2E/control/list-nodes",
    "/v1/fleet/..%2fcontrol/list-nodes", "/v1/fleet%2fx", "/v1/fleet/x%00", "/v1/fleet/x;y", "/v1/fleet/x\\..\\control",
    "/V1/FLEET/X", "/v1/fleet/x/", "/v1/fleet/x\n", "/v1/fleet/é", "/v1/fleet/x#y", "http://superlink/v1/fleet/x",
]  # fmt: skip


class SuperLink(httpx.AsyncBaseTransport):
    """Answers with what it heard."""

    def __init__(self) -> None:
        self.heard: list[httpx.Request] = []
        self.is_gone = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_gone:
            raise httpx.ConnectError("gone")
        body = await request.aread()
        self.heard.append(request)
        return httpx.Response(
            202, headers={"x-kept": "yes", "connection": "close"}, stream=httpx.ByteStream(b"answer to " + body)
        )


@pytest.fixture
def superlink() -> SuperLink:
    return SuperLink()


@pytest.fixture
def client(superlink: SuperLink) -> Iterator[TestClient]:
    with TestClient(gate("https://superlink:8000", superlink)) as client:
        yield client


@pytest.mark.parametrize("path", REFUSED)
def test_no_other_path_passes(path: str) -> None:
    assert not may_pass("POST", path.encode(), b"")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post"])
def test_no_other_method_and_no_query_passes(method: str) -> None:
    assert may_pass("POST", b"/v1/fleet/pull-messages", b"")
    assert not may_pass(method, b"/v1/fleet/pull-messages", b"")
    assert not may_pass("POST", b"/v1/fleet/pull-messages", b"a=1")


def test_what_passes_arrives_whole_and_so_does_the_answer(client: TestClient, superlink: SuperLink) -> None:
    answer = client.post("/v1/fleet/pull-messages", content=b"x" * 100_000, headers={"x-signature": "s"})
    assert (answer.status_code, answer.headers["x-kept"]) == (202, "yes")
    assert answer.content == b"answer to " + b"x" * 100_000
    (heard,) = superlink.heard
    assert (str(heard.url), heard.headers["x-signature"]) == ("https://superlink:8000/v1/fleet/pull-messages", "s")
    assert heard.headers["host"] == "superlink:8000"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", [LIST_NODES, "/health", f"/v1/fleet/%2e%2e{LIST_NODES[3:]}", "/v1/fleet/../x"])
def test_the_superlink_hears_of_nothing_else(client: TestClient, superlink: SuperLink, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 403
    assert superlink.heard == []


def test_a_superlink_that_is_gone_is_told_apart(client: TestClient, superlink: SuperLink) -> None:
    superlink.is_gone = True
    assert client.post("/v1/fleet/pull-messages").status_code == 502
