"""How many SQL statements a GraphQL request costs, on a real index: as many for one product as for a hundred."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest

from api.context import QueryContext, Services
from api.image_urls import ImageUrls
from api.limits import SearchLimits
from api.live_model import LiveModel
from api.metrics import ApiMetrics
from api.schema import make_executor
from api.search import Search
from api.vectors import QueryVectors
from api.vocabulary import Vocabulary
from catalog.cursors import TracedCursor
from catalog.database import Database
from catalog.index import IndexStore
from catalog.store import CatalogueStore
from security.links import PictureLinks
from security.tokens import Identity
from tests.integration.catalog.indexes import COLOURS, PUBLISH, QUERIES, VECTORS, publish
from tests.unit.api.fakes import FakeValkey

pytestmark = pytest.mark.integration

READER = Identity("ana", ("reader",), "a token", 2**31)
PRODUCT = "id filename s3Path imageUrl baseColour articleType brand owner productDisplayName createdAt"
SEARCH = f"""query ($first: Int!, $after: String, $filter: FileFilter) {{
  searchByText(text: "a question", first: $first, after: $after, filter: $filter) {{
    route totalCount facets {{ attribute values {{ value products }} }} pageInfo {{ hasNextPage endCursor }}
    edges {{ score cursor node {{ {PRODUCT} }} }} }} }}"""
BROWSE = f"""query ($first: Int!, $after: String, $filter: FileFilter) {{
  files(first: $first, after: $after, filter: $filter) {{
    totalCount facets {{ attribute values {{ value products }} }} pageInfo {{ hasNextPage endCursor }}
    edges {{ cursor node {{ {PRODUCT} }} }} }} }}"""


class KnownWords:
    """An encoder that knows one question."""

    dimension = VECTORS.shape[1]

    def encode_texts(self, texts: list[str]) -> Any:
        return QUERIES[: len(texts)]

    def encode_images(self, images: list[bytes]) -> Any:
        raise NotImplementedError


@pytest.fixture
def services(dsn: str) -> Iterator[Services]:
    """What a search and browsing need, on a real database with 600 products."""
    with psycopg.connect(dsn) as connection:
        connection.execute(PUBLISH, (list(COLOURS), len(VECTORS) - 1))
    database = Database(dsn)
    index, files, vectors = IndexStore(database), CatalogueStore(database), QueryVectors(FakeValkey())
    publish(index)
    model = LiveModel(index.live, lambda _: KnownWords())
    model.refresh()
    yield cast(
        Services,
        SimpleNamespace(
            files=files,
            vocabulary=Vocabulary(files),
            search=Search(model, vectors, index, files),
            search_limits=SearchLimits(FakeValkey(), 0),
            image_urls=ImageUrls(PictureLinks(b"k" * 32)),
            metrics=ApiMetrics(),
        ),
    )
    database.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that is sent."""
    sent: list[str] = []
    execute: Callable[..., Any] = TracedCursor.execute

    def noted(self: TracedCursor, query: Any, *args: Any, **options: Any) -> Any:
        sent.append(str(query))
        return execute(self, query, *args, **options)

    monkeypatch.setattr(TracedCursor, "execute", noted)
    return sent


@pytest.mark.parametrize("query", [SEARCH, BROWSE], ids=["search", "browse"])
@pytest.mark.parametrize("wanted", [{}, {"baseColour": ["Red"]}], ids=["all", "filtered"])
def test_a_page_costs_as_many_statements_whatever_its_size(
    services: Services, statements: list[str], query: str, wanted: dict[str, Any]
) -> None:
    executor = make_executor()

    def cost(first: int, after: str | None = None) -> tuple[int, str]:
        statements.clear()
        variables = {"first": first, "after": after, "filter": wanted}
        result = asyncio.run(executor.answer(query, QueryContext(READER, services), variables=variables))
        assert result.errors is None
        (page,) = (result.data or {}).values()
        assert len(page["edges"]) == first
        return len(statements), page["pageInfo"]["endCursor"]

    cost(1)  # What is asked once only: the census of the index, the values that filters may name.
    (one, after), (twenty, _), (hundred, _) = cost(1), cost(20), cost(100)
    assert one == twenty == hundred
    assert 3 <= one <= 6
    assert cost(20, after)[0] == cost(100, after)[0] == one
