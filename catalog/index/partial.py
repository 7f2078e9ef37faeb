"""Which values, and which pairs of values, get a graph of their own.

A walk through a graph costs by how far it must go until enough products pass, so a filter wants a graph of which most
products pass. Single values give some; what is asked for by two attributes, each of them common, is the case that
neither they nor comparing all serve: it gets a graph of its own, the rarest first, as long as all those together stay
within some times the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping

from catalog.filters import Value

Values = tuple[tuple[str, Value], ...]
"""Columns and the value of each."""

SINGLE_PRODUCTS = 1_500
"""Of fewer products all are compared in a millisecond; a graph of them would cost more than it saves."""
PAIR_PRODUCTS = 2_500
"""The same for pairs, of which there are many more."""
SINGLE_SHARE = 0.35
"""Values that more products have get no graph: the one over all serves them nearly as well."""
PAIR_SHARE = 0.25
"""The same for pairs."""
DENSE = 0.4
"""A pair needs no graph where so large a share of another graph's products has it."""
PAIRED_TIMES = 4
"""All graphs of pairs together hold at most so many times the products of the catalogue: they are memory, and time to
build."""


def graphs_worth_building(
    singles: Mapping[Values, int], pairs: Mapping[Values, int], products: int
) -> dict[Values, int]:
    """The values that get a graph, with how many products have them.

    Args:
        singles: how many products have each value.
        pairs: how many have each two values of different attributes, of those that more than `PAIR_PRODUCTS` have.
        products: of the whole catalogue.
    """
    chosen = {values: n for values, n in singles.items() if SINGLE_PRODUCTS < n <= SINGLE_SHARE * products}
    room = PAIRED_TIMES * products
    for values, n in sorted(pairs.items(), key=lambda pair: (pair[1], str(pair[0]))):
        smallest = min(chosen.get((value,), products) for value in values)
        if PAIR_PRODUCTS < n <= min(PAIR_SHARE * products, room) and n < DENSE * smallest:
            chosen[values] = n
            room -= n
    return chosen
