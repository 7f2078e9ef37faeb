"""Different products instead of more of the same: no near-duplicates, at most so many of a kind or a brand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from catalog.index.records import Answer, Hit, Place

WINDOW = 1_000
"""Variety is looked for among the nearest so many: what comes after is no answer to any question."""
SAME_LOOK = 0.97
"""Cosine similarity of two pictures from which on they show, to anyone's eye, the same thing."""


@dataclass(frozen=True, slots=True)
class Variety:
    """How different from each other the hits shall be."""

    hide_duplicates: bool = False
    """Show one of several products whose pictures are the same, or nearly so: the nearest."""
    per_article_type: int | None = None
    """At most so many of one article type, over all pages; products of which it is not known are not limited."""
    per_brand: int | None = None
    """The same of one brand."""

    @property
    def is_asked(self) -> bool:
        """Whether anything is limited at all."""
        return self != ANYTHING


ANYTHING = Variety()


@dataclass(frozen=True, slots=True)
class Look:
    """What is compared of one product."""

    article_type: str | None
    brand: str | None
    image_sha256: str
    vector: NDArray[np.float32]
    """(D,) unit vector."""


def varied(hits: Sequence[Hit], looks: Mapping[int, Look], variety: Variety) -> list[Hit]:
    """The hits that are left, in their order. Each is judged by those before it, so it is the same for every page."""
    # A product that left the catalogue between two statements has no look.
    hits = [hit for hit in hits if hit.product_id in looks]
    seen = [looks[hit.product_id] for hit in hits]
    alike = _alike(seen) if variety.hide_duplicates else None
    kept: list[int] = []
    types: Counter[str | None] = Counter()
    brands: Counter[str | None] = Counter()
    for place, look in enumerate(seen):
        if alike is not None and alike[place, kept].any():
            continue
        if _is_full(variety.per_article_type, types, look.article_type):
            continue
        if _is_full(variety.per_brand, brands, look.brand):
            continue
        types[look.article_type] += 1
        brands[look.brand] += 1
        kept.append(place)
    return [hits[place] for place in kept]


def page_of(nearest: Answer, kept: Sequence[Hit], k: int, after: Place) -> Answer:
    """The page from a place on, of what was kept of the nearest."""
    left = [hit for hit in kept if after.last is None or _rank(hit) > _rank(after.last)]
    has_more = len(left) > k
    is_cut = nearest.has_more and not has_more
    return replace(nearest, hits=left[:k], began=after, has_more=has_more, is_cut=is_cut)


def _rank(hit: Hit) -> tuple[float, int]:
    return (-hit.score, hit.product_id)


def _is_full(limit: int | None, seen: Counter[str | None], value: str | None) -> bool:
    return limit is not None and value is not None and seen[value] >= limit


def _alike(looks: Sequence[Look]) -> NDArray[np.bool_]:
    """(N, N) which pictures show the same."""
    vectors = np.array([look.vector for look in looks], np.float32).reshape(len(looks), -1)
    digests = np.array([look.image_sha256 for look in looks])
    return np.asarray((vectors @ vectors.T >= SAME_LOOK) | (digests[:, None] == digests[None, :]))
