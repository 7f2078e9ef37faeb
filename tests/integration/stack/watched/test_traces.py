"""A search is one trace, from the request down to each of its statements in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi.testclient import TestClient
from opentelemetry.trace import SpanKind

from api.app import create_app
from api.wiring import connected
from core.settings import Settings
from tests import spans
from tests.integration.stack.watched.scraping import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
SEARCH = "query ($t: String!) { searchByText(text: $t, first: 3) { edges { node { id productDisplayName } } } }"


@pytest.fixture(scope="module")
def traced(settings: Settings, reader: httpx.Client) -> Iterator[TestClient]:
    """The API in this process, on the stack's services; its spans stay in memory."""
    spans.recorder()
    with TestClient(create_app(connected(settings)), headers=dict(reader.headers)) as client:
        until(lambda: client.get("/readyz").is_success, within_s=90, otherwise=lambda: client.get("/readyz").text)
        yield client


def test_one_search_is_one_trace_with_its_statements_below(traced: TestClient) -> None:
    spans.recorder().clear()
    answer = traced.post("/graphql", json={"query": SEARCH, "variables": {"t": "navy blue checked shirt"}})
    (*_, last) = answer.json()["data"]["searchByText"]["edges"]
    ours = f"{int(answer.headers['x-trace-id'], 16):032x}"
    # The model is followed in a thread of its own, whose statements belong to no request.
    recorded = tuple(s for s in spans.recorder().get_finished_spans() if f"{s.context.trace_id:032x}" == ours)
    (root,) = [span for span in recorded if span.parent is None]
    assert (root.name, root.kind) == ("POST /graphql", SpanKind.SERVER)
    statements = [span for span in recorded if span.kind is SpanKind.CLIENT]
    texts = [str(dict(span.attributes or {})["db.query.text"]) for span in statements]
    assert any("product_vectors_" in text for text in texts)
    assert any("fashion_files" in text for text in texts)
    assert all(spans.is_below(span, root, recorded) for span in statements)
    assert {dict(span.attributes or {})["db.namespace"] for span in statements} == {"catalog"}
    everything = " ".join(span.to_json() for span in recorded)
    for secret in ("navy blue", last["node"]["productDisplayName"], traced.headers["Authorization"][7:]):
        assert secret not in everything
    # A vector would be hundreds of numbers in brackets.
    assert "[0." not in everything
    assert "[-0." not in everything


def test_a_failing_statement_is_marked_and_its_words_are_left_out(traced: TestClient) -> None:
    spans.recorder().clear()
    database = traced.app.state.services.files._database  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="refused"), database.transaction() as connection:
        connection.execute("SELECT %s::integer", ("secret wish",))
    (span,) = [s for s in spans.recorder().get_finished_spans() if "::integer" in s.to_json()]
    assert not span.status.is_ok
    assert dict(span.attributes or {})["error.type"] == "InvalidTextRepresentation"
    assert "secret wish" not in span.to_json()
