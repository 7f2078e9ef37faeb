"""What the products of an index version are like: how many will pass a filter, without looking at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ATTRIBUTES, Condition, Value

SAMPLE = 4_000
NOTHING = -1


@dataclass(frozen=True)
class SampledAttribute:
    """The values of one attribute in the sample: numbers, as comparing texts takes twenty times as long."""

    values: tuple[Value, ...]
    """Distinct ones."""
    numbers: NDArray[np.int32]
    """(S,) index into ``values`` of each product's; NOTHING where it has none."""

    @classmethod
    def of(cls, column: Sequence[Value | None]) -> SampledAttribute:
        """The attribute of products in the order of the sample."""
        values = tuple(value for value in dict.fromkeys(column) if value is not None)
        places = {value: number for number, value in enumerate(values)}
        return cls(values, np.array([NOTHING if v is None else places[v] for v in column], np.int32))

    def __getitem__(self, product: int) -> Value | None:
        number = self.numbers[product]
        return None if number == NOTHING else self.values[number]

    def passing(self, condition: Condition) -> NDArray[np.bool_]:
        """(S,) which products pass."""
        wanted = [number for number, value in enumerate(self.values) if condition.accepts(value)]
        return np.isin(self.numbers, np.array(wanted, np.int32))


@dataclass(frozen=True)
class IndexCensus:
    """Exact counts of every value of every attribute, and the attributes of a sample of products.

    Counts alone would take attributes as independent, which they are not: all saris are women's.
    """

    products: int
    counts: Mapping[tuple[str, Value], int]
    sampled: int
    """Number of products in the sample."""
    sample: Mapping[str, SampledAttribute]

    @classmethod
    def of(cls, products: int, counts: Mapping[tuple[str, Value], int], rows: Sequence[tuple[Any, ...]]) -> IndexCensus:
        """The census of counts by (column, value), and of rows of all ATTRIBUTES."""
        sample = {name: SampledAttribute.of([row[place] for row in rows]) for place, name in enumerate(ATTRIBUTES)}
        return cls(products, dict(counts), len(rows), sample)

    def passing(self, conditions: Sequence[Condition]) -> int:
        """About how many products pass all conditions; exact for a single one, and never more than pass any of them."""
        bounds = [self._bound(condition) for condition in conditions]
        most = min(bounds, default=self.products)
        if len(conditions) <= 1 or not most or not self.sampled:
            return most
        passes = np.logical_and.reduce([self.sample[c.column].passing(c) for c in conditions])
        return min(most, round(self.products * int(passes.sum()) / self.sampled))

    def _bound(self, condition: Condition) -> int:
        """Exactly how many products pass one condition."""
        return sum(
            products
            for (column, value), products in self.counts.items()
            if column == condition.column and condition.accepts(value)
        )
