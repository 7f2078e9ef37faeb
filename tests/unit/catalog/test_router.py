"""The census of an index version, and the way that the router takes for a search."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from catalog.filters import ATTRIBUTES, Condition, ProductFilter, Value
from catalog.index.census import IndexCensus
from catalog.index.records import Graph
from catalog.index.router import COMPARED_PER_EF, EXACT_PRODUCTS, MAX_EF, Router

PRODUCTS = 40_000
KINDS = ("Saree", "Shirt", "Shoe", "Watch", "Belt")


def catalogue() -> list[dict[str, Value | None]]:
    """Forty thousand products: every saree is a woman's, one in ten has a colour of its own."""
    rows: list[dict[str, Value | None]] = []
    for n in range(PRODUCTS):
        kind = KINDS[n % 5]
        gender = "Women" if kind == "Saree" else ("Men", "Women")[n // 5 % 2]
        colour = "Black" if n % 3 else ("Red" if n // 3 % 10 else "Teal")
        row = {"article_type": kind, "gender": gender, "base_colour": colour, "year": 2008 + n // 7 % 10}
        rows.append(dict.fromkeys(ATTRIBUTES) | row)
    return rows


ROWS = catalogue()


@pytest.fixture(scope="module")
def census() -> IndexCensus:
    counts = Counter((name, value) for row in ROWS for name, value in row.items() if value is not None)
    chosen = np.random.default_rng(0).choice(PRODUCTS, 4000, replace=False)
    sample = [tuple(ROWS[n][name] for name in ATTRIBUTES) for n in chosen]
    return IndexCensus.of(PRODUCTS, counts, sample)


def really(wanted: ProductFilter) -> int:
    def passes(row: dict[str, Value | None], condition: Condition) -> bool:
        value = row[condition.column]
        if condition.is_range:
            return isinstance(value, int) and (condition.low or 0) <= value <= (condition.high or 9999)
        return value in condition.values

    return sum(all(passes(row, condition) for condition in wanted.conditions()) for row in ROWS)


@pytest.mark.parametrize(
    "wanted",
    [
        ProductFilter(),
        ProductFilter(article_type="Saree"),
        ProductFilter(base_colour="Teal"),
        ProductFilter(base_colour=("Teal", "Red")),
        ProductFilter(year_from=2010, year_to=2012),
        ProductFilter(article_type="Tent"),
    ],
)
def test_one_attribute_is_counted_exactly(census: IndexCensus, wanted: ProductFilter) -> None:
    assert census.passing(wanted.conditions()) == really(wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        ProductFilter(article_type="Saree", gender="Women"),
        ProductFilter(article_type="Shirt", gender="Men"),
        ProductFilter(article_type="Shoe", base_colour="Black", year_from=2010),
    ],
)
def test_attributes_that_belong_together_are_not_taken_as_independent(
    census: IndexCensus, wanted: ProductFilter
) -> None:
    assert census.passing(wanted.conditions()) == pytest.approx(really(wanted), rel=0.15)


def test_what_excludes_itself_is_none(census: IndexCensus) -> None:
    assert census.passing(ProductFilter(article_type="Saree", gender="Men").conditions()) == 0


def test_an_empty_index_has_an_empty_census() -> None:
    empty = IndexCensus.of(0, {}, [])
    assert empty.passing(ProductFilter(gender="Men", season="Winter").conditions()) == 0


WHOLE = Graph((), PRODUCTS, 200)
SAREES = Graph((("article_type", "Saree"),), 8000, 80)
BLACK = Graph((("base_colour", "Black"),), 26_667, 120)
BLACK_SHOES = Graph((("article_type", "Shoe"), ("base_colour", "Black")), 5333, 40)
GRAPHS = (WHOLE, SAREES, BLACK)


def test_few_are_compared(census: IndexCensus) -> None:
    way = Router(GRAPHS, census).plan(ProductFilter(base_colour="Teal").conditions(), wanted=11)
    assert (way.route, way.graph, way.passing) == ("exact", None, 1334)


def test_without_a_filter_the_graph_over_all_is_walked(census: IndexCensus) -> None:
    way = Router(GRAPHS, census).plan((), wanted=11)
    assert (way.route, way.graph, way.rest, way.ef) == ("graph", WHOLE, (), 200)
    assert way.look_at > 11


def test_a_value_with_a_graph_of_its_own_is_looked_for_there(census: IndexCensus) -> None:
    way = Router(GRAPHS, census).plan(ProductFilter(article_type="Saree").conditions(), wanted=11)
    assert (way.route, way.graph, way.rest, way.ef) == ("partial_graph", SAREES, (), 80)


def test_the_smallest_graph_is_walked_and_the_rest_looked_at(census: IndexCensus) -> None:
    wanted = ProductFilter(article_type="Saree", base_colour="Black", gender="Women")
    way = Router(GRAPHS, census).plan(wanted.conditions(), wanted=11)
    assert way.graph == SAREES
    assert {condition.column for condition in way.rest} == {"base_colour", "gender"}


def test_where_a_small_share_of_the_graph_passes_all_that_do_are_compared(census: IndexCensus) -> None:
    way = Router(GRAPHS, census).plan(ProductFilter(year=2010).conditions(), wanted=11)
    assert EXACT_PRODUCTS < way.passing < 0.25 * PRODUCTS
    assert way.route == "exact"


def test_one_value_of_a_list_is_not_the_list(census: IndexCensus) -> None:
    way = Router(GRAPHS, census).plan(ProductFilter(article_type=("Saree", "Shirt")).conditions(), wanted=11)
    assert way.graph == WHOLE


def test_a_value_and_a_range_of_one_attribute_both_count(census: IndexCensus) -> None:
    graphs = (WHOLE, Graph((("year", 2010),), 4000, 80))
    way = Router(graphs, census).plan(ProductFilter(year=2010, year_from=2009).conditions(), wanted=11)
    assert way.graph == graphs[1]
    assert [condition.is_range for condition in way.rest] == [True]


def test_pages_deeper_than_a_walk_can_go_are_compared(census: IndexCensus) -> None:
    assert Router(GRAPHS, census).plan((), wanted=MAX_EF).route == "exact"


def test_two_values_that_have_a_graph_together_are_looked_for_there(census: IndexCensus) -> None:
    graphs = (*GRAPHS, BLACK_SHOES)
    wanted = ProductFilter(article_type="Shoe", base_colour="Black", gender="Men")
    way = Router(graphs, census).plan(wanted.conditions(), wanted=11)
    assert (way.route, way.graph) == ("partial_graph", BLACK_SHOES)
    assert [condition.column for condition in way.rest] == ["gender"]
    only_one = ProductFilter(article_type="Shoe", gender="Men")
    assert Router(graphs, census).plan(only_one.conditions(), wanted=11).graph != BLACK_SHOES


def test_a_graph_that_must_be_walked_far_is_not_where_comparing_all_is_quicker(census: IndexCensus) -> None:
    wanted = ProductFilter(article_type="Saree").conditions()
    far = Graph(SAREES.values, 8000, 8000 // COMPARED_PER_EF)
    assert Router((WHOLE, far), census).plan(wanted, wanted=11).route == "exact"
    near = Graph(SAREES.values, 8000, 8000 // COMPARED_PER_EF - 1)
    assert Router((WHOLE, near), census).plan(wanted, wanted=11).graph == near
