"""Filters: what they ask of which column, and what they refuse."""

from __future__ import annotations

import pytest

from catalog.errors import FilterInvalid
from catalog.filters import MAX_VALUES, Condition, ProductFilter, parameters, where


def sql_of(wanted: ProductFilter) -> str:
    return where(wanted.conditions()).as_string(None)


def test_nothing_asked_lets_everything_through() -> None:
    assert ProductFilter().conditions() == ()
    assert sql_of(ProductFilter()) == "TRUE"


def test_each_attribute_is_a_condition_by_placeholder_never_by_its_text() -> None:
    wanted = ProductFilter(gender="Men'; DROP TABLE users; --", year=2012)
    assert sql_of(wanted) == '"gender" = %(gender)s AND "year" = %(year)s'
    assert parameters(wanted.conditions()) == {"gender": "Men'; DROP TABLE users; --", "year": 2012}


def test_a_list_asks_for_one_of_its_values_in_whatever_order() -> None:
    one, other = (ProductFilter(base_colour=values) for values in (("Red", "Blue", "Red"), ("Blue", "Red")))
    assert one.conditions() == other.conditions() == (Condition("base_colour", ("Blue", "Red")),)
    assert sql_of(one) == '"base_colour" = ANY(%(base_colour)s)'
    assert parameters(one.conditions()) == {"base_colour": ["Blue", "Red"]}


def test_a_list_of_one_is_that_value() -> None:
    assert ProductFilter(owner=("aurora",)).conditions() == ProductFilter(owner="aurora").conditions()


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (2010, 2012, '"year" >= %(year_from)s AND "year" <= %(year_to)s'),
        (2010, None, '"year" >= %(year_from)s'),
        (None, 2012, '"year" <= %(year_to)s'),
    ],
)
def test_years_may_be_bounded_on_either_side(low: int | None, high: int | None, text: str) -> None:
    wanted = ProductFilter(year_from=low, year_to=high)
    assert sql_of(wanted) == text
    assert parameters(wanted.conditions()) == {"year_from": low, "year_to": high}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (ProductFilter(season="Win\0ter"), "NUL"),
        (ProductFilter(season=("Summer", "Win\0ter")), "NUL"),
        (ProductFilter(base_colour=()), "0 values"),
        (ProductFilter(base_colour=tuple(str(n) for n in range(MAX_VALUES + 1))), "51 values"),
        (ProductFilter(year_from=2013, year_to=2012), "from 2013 to 2012"),
    ],
)
def test_what_no_row_can_answer_is_refused(wanted: ProductFilter, message: str) -> None:
    with pytest.raises(FilterInvalid, match=message):
        wanted.conditions()
