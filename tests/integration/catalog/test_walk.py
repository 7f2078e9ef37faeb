"""A walk over 12,000 products with ties through the API on a real index, while another index goes live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import pytest

from api.asked import Asked
from api.errors import IndexChanged
from api.live_model import LiveModel
from api.search import Search
from api.vectors import QueryVectors
from catalog.database import Database
from catalog.index import IndexStore
from catalog.store import CatalogueStore
from tests.integration.catalog.indexes import COLOURS, PUBLISH, build, unit_vectors
from tests.unit.api.fakes import FakeValkey

pytestmark = pytest.mark.integration

PRODUCTS, DISTINCT, DIMENSION = 12_000, 1_500, 32
KINDS = unit_vectors(DISTINCT, seed=3, dimension=DIMENSION)
VECTORS = KINDS[np.arange(PRODUCTS) % DISTINCT]
"""Eight products share each vector."""


@dataclass(frozen=True)
class KnownWords:
    """An encoder that knows one question."""

    dimension: int = DIMENSION

    def encode_texts(self, texts: list[str]) -> Any:
        return np.repeat(KINDS[:1], len(texts), axis=0)

    def encode_images(self, images: list[bytes]) -> Any:
        raise NotImplementedError


@pytest.fixture
def search(dsn: str) -> Iterator[tuple[Search, IndexStore]]:
    with psycopg.connect(dsn) as connection:
        connection.execute(PUBLISH, (list(COLOURS), PRODUCTS - 1))
    database = Database(dsn)
    index = IndexStore(database)
    model = LiveModel(index.live, lambda _: KnownWords())
    yield Search(model, QueryVectors(FakeValkey()), index, CatalogueStore(database)), index
    database.close()


def go_live(index: IndexStore, model_version: str) -> None:
    version = build(index, VECTORS, model_version=model_version)
    index.verify(version, unit_vectors(5, seed=2, dimension=DIMENSION), min_recall=0.0)
    index.swap(version)


def test_each_product_is_shown_once_or_the_walk_is_told_that_the_index_changed(
    search: tuple[Search, IndexStore],
) -> None:
    found, index = search
    go_live(index, "1")
    found.model.refresh()
    asked = Asked(text="a question")
    seen: list[int] = []
    page = found.find(asked, first=100)
    assert page.answer.route == "graph"
    while True:
        seen += [hit.row.id for hit in page.hits]
        if not page.has_next:
            break
        page = found.find(asked, first=100, after=page.cursor(len(page.hits) - 1))
    assert len(seen) == PRODUCTS
    assert sorted(seen) == list(range(PRODUCTS))

    page = found.find(asked, first=100)
    seen = [hit.row.id for hit in page.hits]
    for step in range(20):
        if step == 10:
            go_live(index, "2")
        if step == 15:
            found.model.refresh()
            with pytest.raises(IndexChanged):
                found.find(asked, first=100, after=page.cursor(len(page.hits) - 1))
            break
        # Until the process has the next model, it goes on with the version that the walk began with.
        page = found.find(asked, first=100, after=page.cursor(len(page.hits) - 1))
        assert page.answer.version.id == page.model.index.id
        seen += [hit.row.id for hit in page.hits]
    assert len(seen) == len(set(seen)) == 1_600
