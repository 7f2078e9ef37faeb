"""Which values, and which pairs of values, get a graph of their own."""

from __future__ import annotations

import pytest

from catalog.index.partial import (
    DENSE,
    PAIR_PRODUCTS,
    PAIR_SHARE,
    PAIRED_TIMES,
    SINGLE_PRODUCTS,
    SINGLE_SHARE,
    Values,
    graphs_worth_building,
)

PRODUCTS = 40_000
BLACK: Values = (("base_colour", "Black"),)
SUMMER: Values = (("season", "Summer"),)
BOTH: Values = (*BLACK, *SUMMER)


@pytest.mark.parametrize(
    ("products", "has_one"),
    [
        (SINGLE_PRODUCTS, False),
        (SINGLE_PRODUCTS + 1, True),
        (int(SINGLE_SHARE * PRODUCTS), True),
        (int(SINGLE_SHARE * PRODUCTS) + 1, False),
    ],
)
def test_a_value_has_one_that_is_neither_rare_nor_nearly_all(products: int, has_one: bool) -> None:
    assert (BLACK in graphs_worth_building({BLACK: products}, {}, PRODUCTS)) == has_one


@pytest.mark.parametrize(
    ("products", "has_one"),
    [
        (PAIR_PRODUCTS, False),
        (PAIR_PRODUCTS + 1, True),
        (int(PAIR_SHARE * PRODUCTS), True),
        (int(PAIR_SHARE * PRODUCTS) + 1, False),
    ],
)
def test_two_common_values_have_one_together(products: int, has_one: bool) -> None:
    singles = {BLACK: 25_000, SUMMER: 26_000}
    assert list(graphs_worth_building(singles, {BOTH: products}, PRODUCTS)) == ([BOTH] if has_one else [])


def test_two_have_none_where_one_of_them_has_a_graph_that_serves() -> None:
    black = int(PAIR_PRODUCTS / DENSE) + 1000
    singles = {BLACK: black, SUMMER: 26_000}
    assert BOTH in graphs_worth_building(singles, {BOTH: int(DENSE * black) - 1}, PRODUCTS)
    assert BOTH not in graphs_worth_building(singles, {BOTH: int(DENSE * black) + 1}, PRODUCTS)


def test_the_rarest_pairs_come_first_and_all_together_stay_within_bounds() -> None:
    pairs = {(("year", 2000 + n), *SUMMER): PAIR_PRODUCTS + 1 + 100 * n for n in range(70)}
    chosen = graphs_worth_building({}, pairs, PRODUCTS)
    assert sum(chosen.values()) <= PAIRED_TIMES * PRODUCTS
    assert list(chosen.values()) == sorted(pairs.values())[: len(chosen)]
    assert 0 < len(chosen) < len(pairs)


def test_they_are_chosen_alike_whatever_the_order_of_the_counts() -> None:
    pairs = {(("year", 2000 + n), *SUMMER): 9_000 for n in range(30)}
    turned = dict(reversed(pairs.items()))
    assert graphs_worth_building({}, pairs, PRODUCTS) == graphs_worth_building({}, turned, PRODUCTS)


def test_an_empty_catalogue_has_none() -> None:
    assert graphs_worth_building({}, {}, 0) == {}
