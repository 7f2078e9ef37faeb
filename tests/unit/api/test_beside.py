"""Products that the live version lacks are asked for in their own space, and stand where their scores say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.asked import Asked
from api.beside import Beside, Found, with_older
from api.live_model import LoadedModel, OlderModel
from api.ports import Vectors
from api.vectors import QueryVectors
from catalog.errors import IndexVersionMissing
from catalog.filters import ProductFilter
from catalog.index import BEGINNING, Answer, Place
from catalog.index.left_behind import Calibration, Kind, Straggling
from catalog.index.records import Hit
from tests.unit.api.fakes import FakeEncoder, FakeIndex, FakeRows, FakeValkey, Parts, vector_of


@dataclass
class FakeOlder:
    """Remembers what it is asked."""

    hits: Sequence[Hit] = (Hit(1_000_000_001, 0.8), Hit(1_000_000_002, 0.2))
    asked: list[tuple[int, Vectors, Kind]] = field(default_factory=list)
    is_gone: bool = False

    def search(
        self, straggling: Straggling, vector: Vectors, k: int, *, kind: Kind, filters: ProductFilter, after: Place
    ) -> list[Hit]:
        if self.is_gone:
            raise IndexVersionMissing("gone")
        self.asked.append((straggling.version.id, vector, kind))
        return list(self.hits)[:k]


@pytest.fixture
def model() -> LoadedModel:
    """Version 2 is live, and version 1 answers beside it."""
    index = FakeIndex(FakeRows())
    index.swap(1, "1")
    assert index.version is not None
    old = LoadedModel(index.version, FakeEncoder(space=1))
    index.swap(2, "2")
    live = LoadedModel(index.version, FakeEncoder(space=2))
    return replace(live, older=(OlderModel(Straggling(old.index, 2, {}), old),))


def beside(older: FakeOlder) -> Beside:
    index = FakeIndex(FakeRows())
    return Beside(older, QueryVectors(FakeValkey()), index)


def ask(older: FakeOlder, asked: Asked, model: LoadedModel, *, first: int = 5) -> list[Found]:
    return beside(older).find(asked, model, first=first, filters=ProductFilter(), after=BEGINNING)


@pytest.mark.parametrize(
    ("asked", "kind"), [(Asked(text="like 7"), "text"), (Asked(product=7), "image"), (Asked(picture=b""), "image")]
)
def test_the_older_version_is_asked_in_its_own_space(model: LoadedModel, asked: Asked, kind: Kind) -> None:
    older = FakeOlder()
    if asked.picture is not None:
        from tests.unit.api.fakes import picture_of

        asked = Asked(picture=picture_of(7))
    (found,) = ask(older, asked, model)
    assert found.hits == list(older.hits)
    ((version, vector, asked_kind),) = older.asked
    assert (version, asked_kind) == (1, kind)
    np.testing.assert_allclose(vector, vector_of(7, 1), atol=1e-6)


def test_without_an_older_version_nothing_is_encoded(model: LoadedModel) -> None:
    older = FakeOlder()
    assert ask(older, Asked(text="like 7"), replace(model, older=())) == []
    assert older.asked == []


def test_a_product_that_it_does_not_know_or_a_version_that_is_gone_costs_no_answer(model: LoadedModel) -> None:
    assert ask(FakeOlder(), Asked(product=99_999), model) == []
    assert ask(FakeOlder(is_gone=True), Asked(text="like 7"), model) == []


def test_hits_stand_in_one_order_and_pages_go_on_behind_them(model: LoadedModel) -> None:
    live = Answer([Hit(3, 0.9), Hit(4, 0.5)], model.index, True, False, passing=2)
    straggling = model.older[0].straggling
    both = with_older(live, [Found(straggling, [Hit(1_000_000_001, 0.8), Hit(1_000_000_002, 0.2)])], first=3)
    assert [hit.product_id for hit in both.hits] == [3, 1_000_000_001, 4]
    assert both.has_more
    assert both.place_after(1) == Place(last=Hit(1_000_000_001, 0.8))
    assert replace(both, is_exact=False).place_after(1) == Place(shown=(3, 1_000_000_001))
    moved = with_older(live, [Found(straggling, [Hit(4, 0.7)])], first=3)
    assert moved.hits == live.hits, "it has just come to the live version"
    alone = with_older(live, [], first=3)
    assert (alone.hits, alone.has_more) == (live.hits, False)


SEARCH = """query ($after: String) { searchByText(text: "like 7", first: 3, after: $after) {
  indexVersion beside { indexVersion modelVersion products scoreError } pageInfo { hasNextPage endCursor }
  edges { score indexVersion node { id } } } }"""


def searched(client: TestClient, after: str | None = None) -> Any:
    answer = client.post("/graphql", json={"query": SEARCH, "variables": {"after": after}}).json()
    assert "errors" not in answer, answer
    return answer["data"]["searchByText"]


def test_a_search_says_which_older_version_found_what_the_live_one_lacks(client: TestClient, parts: Parts) -> None:
    alone = searched(client)
    assert alone["beside"] == []
    parts.switch_to(2, "2")
    parts.index.passed_over = {299}
    search = parts.services.search
    live = search.model.current()
    figures = {"text": Calibration(0.9, 0.01, error=0.02, queries=50)}
    old = LoadedModel(replace(live.index, id=1, model_version="1"), FakeEncoder(space=1))
    straggling = Straggling(old.index, 1, figures)
    # What the thread that follows the live index would find, or it would take away again what is put here.
    search.model._older = lambda _: [straggling]
    search.model._loaded = replace(live, older=(OlderModel(straggling, old),))
    older = FakeOlder(hits=[Hit(299, 2.0)])
    object.__setattr__(search, "beside", Beside(older, search.vectors, parts.index))
    page = searched(client)
    assert page["beside"] == [{"indexVersion": 1, "modelVersion": "1", "products": 1, "scoreError": 0.02}]
    assert page["edges"][0] == {"score": 2.0, "indexVersion": 1, "node": {"id": 299}}
    assert page["edges"][1]["node"]["id"] == 7
    assert {edge["indexVersion"] for edge in page["edges"][1:]} == {2}
    twin = client.get("/v1/search", params={"text": "like 7", "first": 3}).json()
    assert twin["beside"] == [{"index_version": 1, "model_version": "1", "products": 1, "score_error": 0.02}]
    assert [(hit["product"]["id"], hit["index_version"]) for hit in twin["hits"][:2]] == [(299, 1), (7, 2)]
    older.hits = ()
    following = searched(client, page["pageInfo"]["endCursor"])
    assert not {edge["node"]["id"] for edge in page["edges"]} & {edge["node"]["id"] for edge in following["edges"]}
