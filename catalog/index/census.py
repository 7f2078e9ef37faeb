"""What the products of an index version are like: how many will pass a filter, without looking at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ATTRIBUTES, Condition, Value

SAMPLE = 4_000


@dataclass(frozen=True)
class IndexCensus:
    """Exact counts of every value of every attribute, and the attributes of a sample of products.

    Counts alone would take attributes as independent, which they are not: all saris are women's.
    """

    products: int
    counts: Mapping[tuple[str, Value], int]
    sample: Mapping[str, NDArray[np.object_]]
    """Column → (S,) values of the sampled products."""
    _codes: Mapping[str, tuple[dict[Value, int], NDArray[np.int32]]]
    """Column → numbers of its values, and the sample by them: comparing numbers is twenty times as fast."""

    @classmethod
    def of(cls, products: int, counts: Mapping[tuple[str, Value], int], rows: Sequence[tuple[Any, ...]]) -> IndexCensus:
        """The census of counts by (column, value), and of rows of all ATTRIBUTES."""
        table = np.array(rows, object).reshape(-1, len(ATTRIBUTES))
        sample = {name: table[:, place] for place, name in enumerate(ATTRIBUTES)}
        return cls(products, dict(counts), sample, {name: _coded(values) for name, values in sample.items()})

    def passing(self, conditions: Sequence[Condition]) -> int:
        """About how many products pass all conditions; exact for a single one, and never more than pass any of them."""
        bounds = [self._bound(condition) for condition in conditions]
        most = min(bounds, default=self.products)
        if len(conditions) <= 1 or not most:
            return most
        passes = np.logical_and.reduce([self._passes(condition) for condition in conditions])
        sampled = len(passes)
        return min(most, round(self.products * int(passes.sum()) / sampled)) if sampled else most

    def _bound(self, condition: Condition) -> int:
        """Exactly how many products pass one condition."""
        if not condition.is_range:
            return sum(self.counts.get((condition.column, value), 0) for value in condition.values)
        return sum(
            products
            for (column, value), products in self.counts.items()
            if column == condition.column and isinstance(value, int) and _is_between(value, condition)
        )

    def _passes(self, condition: Condition) -> NDArray[np.bool_]:
        numbers, codes = self._codes[condition.column]
        if condition.is_range:
            wanted = [
                code for value, code in numbers.items() if isinstance(value, int) and _is_between(value, condition)
            ]
        else:
            wanted = [numbers[value] for value in condition.values if value in numbers]
        found = np.zeros(len(codes), bool)
        for code in wanted:
            found |= codes == code
        return found


def _coded(values: NDArray[np.object_]) -> tuple[dict[Value, int], NDArray[np.int32]]:
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values.tolist())) if value is not None}
    return numbers, np.array([numbers.get(value, -1) for value in values.tolist()], np.int32)


def _is_between(value: int, condition: Condition) -> bool:
    low, high = condition.low, condition.high
    return (low is None or value >= low) and (high is None or value <= high)
