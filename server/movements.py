"""Single queries on which two models differ most: what means alone cannot show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.evaluation import FirstHits
from federation.features import ProductFeatures


@dataclass(frozen=True)
class Shown:
    """A product that a model ranked first."""

    id: int
    title: str


@dataclass(frozen=True)
class Movement:
    """One query, and where each model found its first product."""

    title: str
    product_ids: tuple[int, ...]
    """Every product of that title."""
    rank_a: int
    rank_b: int
    best_a: Shown
    best_b: Shown


@dataclass(frozen=True)
class Movements:
    """How many queries moved, and which furthest, by the quotient of their ranks: 200 → 1 before 900 → 300."""

    up: tuple[Movement, ...]
    down: tuple[Movement, ...]
    counts: Mapping[str, int]
    """``up``, ``down``, ``same``: of all queries."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "up": [asdict(movement) for movement in self.up],
            "down": [asdict(movement) for movement in self.down],
            "counts": dict(self.counts),
        }

    @property
    def pictured(self) -> list[int]:
        """Products that a reader wants to see: of each query its first, and what each model showed instead."""
        found = (
            (movement.product_ids[0], movement.best_a.id, movement.best_b.id) for movement in (*self.up, *self.down)
        )
        return sorted({product for products in found for product in products})


def movements(
    a: FirstHits, b: FirstHits, products: ProductFeatures, queries: NDArray[np.int64], *, shown: int
) -> Movements:
    """Compare where two models found the same queries, given as numbers of titles; ``shown`` in each direction."""
    quotient = np.log(a.rank / b.rank)
    order = np.argsort(-quotient, kind="stable")
    describe = _describer(a, b, products, queries)
    counts = {"up": int((quotient > 0).sum()), "down": int((quotient < 0).sum()), "same": int((quotient == 0).sum())}
    return Movements(
        up=tuple(describe(q) for q in order[:shown].tolist() if quotient[q] > 0),
        down=tuple(describe(q) for q in order[::-1][:shown].tolist() if quotient[q] < 0),
        counts=counts,
    )


def _describer(
    a: FirstHits, b: FirstHits, products: ProductFeatures, queries: NDArray[np.int64]
) -> Callable[[int], Movement]:
    def product(row: int) -> Shown:
        return Shown(int(products.ids[row]), products.titles[int(products.names[row])])

    def describe(query: int) -> Movement:
        ids: Sequence[int] = products.ids[products.names == queries[query]].tolist()
        return Movement(
            title=products.titles[int(queries[query])],
            product_ids=tuple(ids),
            rank_a=int(a.rank[query]),
            rank_b=int(b.rank[query]),
            best_a=product(int(a.best[query])),
            best_b=product(int(b.best[query])),
        )

    return describe
