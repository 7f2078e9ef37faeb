"""Plain values are read as graphql-core would read them: every answer, error and order is the same."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime
from enum import Enum
from typing import Any, cast

import pytest
import strawberry
from graphql import DocumentNode, execute, parse

from api.schema.plain_values import REMEMBERED, PlainValues, Selection


@strawberry.enum
class Season(Enum):
    """An enum, whose values are named otherwise than they are."""

    SUMMER = "summer"


@strawberry.interface
class Named:
    """An abstract type."""

    name: str


@strawberry.type
class Shop(Named):
    """A type with an interface."""

    city: str | None = None


@strawberry.type
class Colour:
    """A type of plain values."""

    name: str
    share: float | None = None


async def _slow(root: Product) -> str:
    return f"slow {root.id}"


def _quick(root: Product, times: int = 1) -> str:
    return "quick" * times


def _fails(root: Product) -> str | None:
    raise ValueError(f"no price for {root.id}")


@strawberry.type
class Product:
    """A type with everything."""

    id: int
    display_name: str
    season: Season | None
    colours: list[Colour]
    first: Colour | None
    shop: Named
    shops: list[Shop]
    made: datetime
    tags: list[str | None] | None = None
    slow: str = strawberry.field(resolver=_slow)
    quick: str = strawberry.field(resolver=_quick)
    fails: str | None = strawberry.field(resolver=_fails)
    odd: int | None = None
    must: str = "there"


def _product(number: int, **other: Any) -> Product:
    values: dict[str, Any] = {
        "id": number,
        "display_name": f"product {number}",
        "season": Season.SUMMER if number % 2 else None,
        "colours": [Colour(name="red", share=0.5), Colour(name="blue")],
        "first": Colour(name="red") if number % 3 else None,
        "shop": Shop(name="corner", city="León"),
        "shops": [Shop(name="corner"), Shop(name="square", city="Vigo")],
        "made": datetime(2026, 1, number + 1, tzinfo=UTC),
        "tags": ["a", None] if number else None,
    }
    return Product(**{**values, **other})


BROKEN: dict[str, dict[str, Any]] = {
    "null": {"must": None},
    "type": {"odd": "no number"},
    "list": {"colours": None},
    "item": {"colours": [None, Colour(name="red")]},
    "no list": {"colours": 7},
    "inner": {"first": Colour(name=cast(str, None))},
    "exception": {"odd": ValueError("an exception for a value")},
    "enum": {"season": "winter"},
    "too large": {"odd": 2**31},
    "no number": {"colours": [Colour(name="red", share=float("nan"))]},
    "no text": {"must": ["a", "list"]},
}
STRANGE: dict[str, Any] = {"must": 7, "odd": True, "tags": [7, None, "a"], "first": Colour(name="red", share=1)}
"""Other values than their types say, of which GraphQL makes what they say all the same."""


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def plain(self) -> str:
        """A value."""
        return "a value of the root"

    @strawberry.field
    async def products(self) -> list[Product]:
        """Three of them."""
        return [_product(number) for number in range(3)]

    @strawberry.field
    def one(self) -> Product | None:
        """One."""
        return _product(1)

    @strawberry.field
    def strange(self) -> list[Product]:
        """Rows whose values are of other types than those around them."""
        return [_product(0), _product(1, **STRANGE), _product(2)]

    @strawberry.field
    def none(self) -> Product | None:
        """None."""
        return None

    @strawberry.field
    def broken(self, how: str) -> Product | None:
        """One that is not as its type says."""
        return _product(1, **BROKEN[how])

    @strawberry.field
    def some_broken(self, how: str) -> list[Product | None]:
        """One in the middle that is not as its type says."""
        return [_product(0), _product(1, **BROKEN[how]), _product(2)]


FIELDS = (
    "id", "name: displayName", "season", "colours { name share }", "first { name }", "shop { name }",
    "shop { __typename ... on Shop { city } }", "shops { city name }", "made", "tags", "slow", "quick",
    "twice: quick(times: 2)", "fails", "odd", "must", "__typename",
)  # fmt: skip
DOCUMENTS = (
    "{ plain __typename }",
    "{ products { " + " ".join(FIELDS[:6]) + " } }",
    "{ one { " + " ".join(FIELDS) + " } none { id } again: one { id } }",
    "{ one { slow id quick first { name } colours { name } made } }",
    "query ($no: Boolean = false) { products { id must @skip(if: true) odd @include(if: $no) made } }",
    "{ one { ...a ... on Product { colours { share } } } } fragment a on Product { id colours { name n: name } }",
    "{ one { colours { name } colours { share __typename } } }",
    "{ strange { must odd tags first { name share } id } }",
)

BY_THE_BOOK = strawberry.Schema(Query)
OURS = strawberry.Schema(Query, execution_context_class=PlainValues)


def _answer(schema: strawberry.Schema, document: str) -> tuple[Any, list[Any]]:
    result = asyncio.run(schema.execute(document))
    return result.data, sorted((error.formatted for error in result.errors or []), key=str)


def _ordered(data: Any) -> Any:
    """With the order of members, which equality of dicts does not see."""
    if isinstance(data, dict):
        return [(key, _ordered(value)) for key, value in data.items()]
    return [_ordered(value) for value in data] if isinstance(data, list) else data


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_answer_is_graphql_cores(document: str) -> None:
    expected, errors = _answer(BY_THE_BOOK, document)
    assert expected is not None
    found, found_errors = _answer(OURS, document)
    assert _ordered(found) == _ordered(expected)
    assert found_errors == errors


@pytest.mark.parametrize("first", FIELDS)
def test_any_two_fields_are_answered_as_by_graphql_core(first: str) -> None:
    for second in FIELDS:
        test_the_answer_is_graphql_cores(f"{{ products {{ {first} {second} }} }}")


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("root", ["broken", "someBroken"])
def test_what_is_not_as_its_type_says_is_reported_as_by_graphql_core(how: str, root: str) -> None:
    for field in FIELDS:
        asked = " ".join(dict.fromkeys(["must", "odd", "colours { name share }", "first { name }", "season", field]))
        document = f'{{ {root}(how: "{how}") {{ {asked} }} plain }}'
        expected, errors = _answer(BY_THE_BOOK, document)
        found, found_errors = _answer(OURS, document)
        assert errors
        assert _ordered(found) == _ordered(expected)
        assert found_errors == errors


def test_rows_of_attributes_are_read_without_a_path_for_each_value(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[str] = []
    stock = PlainValues.execute_field

    def counted(self: PlainValues, parent: Any, source: Any, details: Any, path: Any, position: Any) -> Any:
        executed.append(details[0].node.name.value)
        return stock(self, parent, source, details, path, position)

    monkeypatch.setattr(PlainValues, "execute_field", counted)
    _answer(OURS, "{ products { id colours { name share } first { name } made __typename } }")
    assert executed == ["products"]
    executed.clear()
    _answer(OURS, "{ products { id slow made } }")
    assert executed == ["products", "slow", "slow", "slow"]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Selection]:
    """Selections that are looked at."""
    found: list[Selection] = []
    stock = Selection.__init__

    def counted(self: Selection, *arguments: Any) -> None:
        found.append(self)
        stock(self, *arguments)

    monkeypatch.setattr(Selection, "__init__", counted)
    monkeypatch.setattr(PlainValues, "known", {})
    return found


def _execute(document: DocumentNode, **variables: Any) -> Any:
    result = execute(OURS._schema, document, variable_values=variables, executor_class=PlainValues)
    return asyncio.run(_awaited(result))


async def _awaited(result: Any) -> Any:
    return (await result if inspect.isawaitable(result) else result).data


def test_a_selection_is_looked_at_once_for_all_objects_and_all_requests(made: list[Selection]) -> None:
    document = parse("query ($how: String!) { broken(how: $how) { odd } products { id colours { name } } }")
    for how in ("null", "enum", "type"):
        assert len(_execute(document, how=how)["products"]) == 3
    assert len(made) == 4  # the root's, the broken one's, the products', the colours'


def test_a_selection_that_asks_a_variable_is_looked_at_for_each_request(made: list[Selection]) -> None:
    document = parse("query ($no: Boolean!) { one { id colours { name @skip(if: $no) share } } }")
    asked = [set(_execute(document, no=no)["one"]["colours"][0]) for no in (True, False, True)]
    assert asked == [{"share"}, {"name", "share"}, {"share"}]
    assert len(made) == 9


def test_not_more_selections_are_kept_than_are_worth_it(made: list[Selection]) -> None:
    documents = [parse(f"{{ a{number}: one {{ id }} }}") for number in range(REMEMBERED)]
    for document in documents:
        assert _execute(document)
    assert len(PlainValues.known) <= REMEMBERED < len(made)
