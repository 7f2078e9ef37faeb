"""One query against two model versions: each in its own space, and what moved between them."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.encoder_shelf import EncoderShelf
from api.live_model import LiveModel
from api.ports import Encoder
from catalog.index import IndexVersion
from server.errors import ModelDamaged
from tests.unit.api.fakes import FakeEncoder, FakeIndex, FakeRows, Parts, vector_of

COMPARE = """query ($t: String!, $v: [String!]!, $n: Int! = 10, $f: FileFilter) {
  compareSearch(text: $t, versions: $v, first: $n, filter: $f) {
    modelVersion indexVersion indexState exact matching hits { rank movedFrom score product { id baseColour } } } }"""


def compare(client: TestClient, **variables: Any) -> Any:
    answer = client.post(
        "/graphql", json={"query": COMPARE, "variables": {"t": "like 7", "v": ["1", "2"], **variables}}
    )
    assert "errors" not in answer.json(), answer.json()
    return answer.json()["data"]["compareSearch"]


def code(client: TestClient, **variables: Any) -> str:
    answer = client.post(
        "/graphql", json={"query": COMPARE, "variables": {"t": "like 7", "v": ["1", "2"], **variables}}
    )
    (error,) = answer.json()["errors"]
    return str(error["extensions"]["code"])


def ranked(space: int) -> list[int]:
    query = vector_of(7, space)
    return sorted(range(1, 301), key=lambda number: -float(vector_of(number, space) @ query))


def ids(side: Any) -> list[int]:
    return [hit["product"]["id"] for hit in side["hits"]]


def test_each_version_searches_its_own_space_and_says_where_products_stood_in_the_other(
    operator: TestClient, parts: Parts
) -> None:
    parts.switch_to(2, "2")
    old, new = compare(operator)
    assert [(side["modelVersion"], side["indexVersion"], side["indexState"]) for side in (old, new)] == [
        ("1", 1, "retired"), ("2", 2, "live"),
    ]  # fmt: skip
    assert (ids(old), ids(new)) == (ranked(1)[:10], ranked(2)[:10])
    first = ranked(1)[:100]
    assert [hit["rank"] for hit in new["hits"]] == list(range(1, 11))
    assert [hit["movedFrom"] for hit in new["hits"]] == [
        first.index(number) + 1 if number in first else None for number in ids(new)
    ]
    assert new["hits"][0]["movedFrom"] == 1
    assert None in [hit["movedFrom"] for hit in new["hits"]]


def test_a_filter_holds_on_both_sides_and_versions_come_in_the_order_asked_for(
    operator: TestClient, parts: Parts
) -> None:
    parts.switch_to(2, "2")
    sides = compare(operator, v=["2", "1"], n=3, f={"baseColour": ["Red"]})
    assert [side["modelVersion"] for side in sides] == ["2", "1"]
    assert {hit["product"]["baseColour"] for side in sides for hit in side["hits"]} == {"Red"}
    assert [len(side["hits"]) for side in sides] == [3, 3]


def test_a_product_that_left_the_catalogue_has_no_rank(operator: TestClient, parts: Parts) -> None:
    parts.switch_to(2, "2")
    gone = ranked(2)[1]

    class WithoutOne(FakeRows):
        def files(self, numbers: Any) -> Any:
            return [found for found in super().files(numbers) if found.id != gone]

    object.__setattr__(parts.services.comparison, "files", WithoutOne())
    _, new = compare(operator)
    assert ids(new) == [number for number in ranked(2) if number != gone][:10]
    assert [hit["rank"] for hit in new["hits"]] == list(range(1, 11))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"v": ["1"]}, "api.argument_invalid"),
        ({"v": ["1", "1"]}, "api.argument_invalid"),
        ({"v": ["1", "2", "3"]}, "api.argument_invalid"),
        ({"v": ["1", "9"]}, "api.not_found"),
        ({"v": ["1", "champion"]}, "api.not_found"),
        ({"t": " "}, "api.argument_invalid"),
        ({"n": 0}, "api.argument_invalid"),
        ({"n": 101}, "api.argument_invalid"),
        ({"f": {"year": ["x"]}}, "api.argument_invalid"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    operator: TestClient, parts: Parts, variables: dict[str, Any], expected: str
) -> None:
    parts.switch_to(2, "2")
    assert code(operator, **variables) == expected


def test_a_version_whose_index_is_still_being_built_cannot_be_asked(operator: TestClient, parts: Parts) -> None:
    (live,) = parts.index.versions()
    parts.index.retired = [replace(live, id=2, model_version="2", state="building")]
    assert code(operator) == "api.not_found"


@dataclass
class Loader:
    """Loads encoders, and knows which it loaded."""

    loaded: list[int] = field(default_factory=list)
    error: Exception | None = None

    def __call__(self, version: IndexVersion) -> Encoder:
        if self.error:
            raise self.error
        self.loaded.append(version.id)
        return FakeEncoder(space=version.id)


@dataclass
class Shelf:
    shelf: EncoderShelf
    loader: Loader
    versions: dict[int, IndexVersion]


@pytest.fixture
def shelved() -> Shelf:
    """A shelf beside the live model of index 3; 1 and 2 are of other models, 4 is of that of 3."""
    index, loader = FakeIndex(FakeRows()), Loader()
    for number in (1, 2, 3):
        index.swap(number, str(number))
    live = LiveModel(index.live, lambda version: FakeEncoder(space=version.id))
    live.refresh()
    versions = {version.id: version for version in index.versions()}
    return Shelf(EncoderShelf(live, loader), loader, {**versions, 4: replace(versions[3], id=4)})


def lend(shelved: Shelf, number: int) -> int:
    with shelved.shelf.lent(shelved.versions[number]) as model:
        assert model.index.id == number
        assert isinstance(model.encoder, FakeEncoder)
        return model.encoder.space


def test_the_live_model_s_encoder_is_not_loaded_again(shelved: Shelf) -> None:
    assert [lend(shelved, number) for number in (3, 4)] == [3, 3]
    assert shelved.loader.loaded == []


def test_one_more_is_kept_until_another_one_is_needed(shelved: Shelf) -> None:
    assert [lend(shelved, number) for number in (1, 1, 2, 1)] == [1, 1, 2, 1]
    assert shelved.loader.loaded == [1, 2, 1]


def test_a_model_of_the_same_number_and_another_hash_is_another_one(shelved: Shelf) -> None:
    lend(shelved, 1)
    shelved.versions[1] = replace(shelved.versions[1], model_hash="another")
    lend(shelved, 1)
    assert shelved.loader.loaded == [1, 1]


def test_whoever_needs_another_one_waits_until_the_first_is_given_back(shelved: Shelf) -> None:
    with ExitStack() as held:
        held.enter_context(shelved.shelf.lent(shelved.versions[1]))
        waiting = threading.Thread(target=lend, args=(shelved, 2))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
        assert lend(shelved, 3) == 3
        assert shelved.loader.loaded == [1]
    waiting.join(5)
    assert shelved.loader.loaded == [1, 2]


def test_a_model_that_cannot_be_loaded_leaves_the_shelf_as_usable_as_before(shelved: Shelf) -> None:
    shelved.loader.error = ModelDamaged("It was changed.")
    with pytest.raises(ModelDamaged):
        lend(shelved, 1)
    shelved.loader.error = None
    assert lend(shelved, 1) == 1
