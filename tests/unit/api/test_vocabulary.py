"""A filter's value that no product has is refused, with the one that was probably meant."""

from __future__ import annotations

from typing import Any, cast

import pytest

from api.errors import ArgumentInvalid
from api.ports import Files
from api.vocabulary import REREAD_S, Vocabulary
from catalog.filters import ProductFilter
from catalog.store import FacetValue


class Facets:
    """A catalogue that counts how often it is asked."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {"base_colour": ["Navy Blue", "Blue"], "year": ["2012"]}
        self.asked = 0
        self.now = 100.0

    def facets(self, _: ProductFilter) -> dict[str, list[FacetValue]]:
        self.asked += 1
        return {column: [FacetValue(value, 1) for value in values] for column, values in self.values.items()}


@pytest.fixture
def facets() -> Facets:
    return Facets()


@pytest.fixture
def vocabulary(facets: Facets) -> Vocabulary:
    return Vocabulary(cast(Files, facets), clock=lambda: facets.now)


@pytest.mark.parametrize(
    "wanted",
    [
        ProductFilter(),
        ProductFilter(base_colour="Blue"),
        ProductFilter(base_colour=("Blue", "Navy Blue"), year=2012),
        ProductFilter(year_from=1900, year_to=1901),
        ProductFilter(owner="nobody"),
    ],
)
def test_what_products_have_passes(vocabulary: Vocabulary, wanted: ProductFilter) -> None:
    assert vocabulary.checked(wanted) is wanted


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        (ProductFilter(base_colour="blu"), "No product has the base colour 'blu'.", "Did you mean 'Blue'?"),
        (ProductFilter(base_colour="navy blue"), "'navy blue'", "Did you mean 'Navy Blue'?"),
        (ProductFilter(base_colour=("Blue", "Ochre")), "'Ochre'", "`facets` lists"),
        (ProductFilter(year=(2012, 2050)), "No product has the year '2050'.", "`facets` lists"),
        (ProductFilter(season="Summer"), "'Summer'", "`facets` lists"),
        (ProductFilter(base_colour="x" * 300), "…", "`facets` lists"),
        (ProductFilter(base_colour="'; DROP TABLE fashion_files; --"), "DROP TABLE", "`facets` lists"),
    ],
)
def test_what_none_has_is_refused(vocabulary: Vocabulary, wanted: ProductFilter, message: str, hint: str) -> None:
    with pytest.raises(ArgumentInvalid) as refused:
        vocabulary.checked(wanted)
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert len(refused.value.message) < 150


def test_known_values_are_not_read_again(vocabulary: Vocabulary, facets: Facets) -> None:
    for _ in range(20):
        vocabulary.checked(ProductFilter(base_colour="Blue"))
        facets.now += 3600
    assert facets.asked == 1


def test_a_value_that_just_came_is_known_a_second_later(vocabulary: Vocabulary, facets: Facets) -> None:
    vocabulary.checked(ProductFilter(base_colour="Blue"))
    facets.values["base_colour"].append("Ochre")
    facets.now += REREAD_S
    vocabulary.checked(ProductFilter(base_colour="Ochre"))


def test_a_flood_of_wrong_values_costs_one_query_a_second(vocabulary: Vocabulary, facets: Facets) -> None:
    for number in range(50):
        with pytest.raises(ArgumentInvalid):
            vocabulary.checked(ProductFilter(base_colour=f"colour {number}"))
    assert facets.asked == 1


def test_nothing_is_refused_where_nothing_is_published(vocabulary: Vocabulary, facets: Facets) -> None:
    facets.values = {}
    wanted: Any = ProductFilter(base_colour="Blue")
    assert vocabulary.checked(wanted) is wanted
