"""What the index says about itself, and what a search answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

State = Literal["building", "verified", "live", "retired"]


@dataclass(frozen=True, slots=True)
class IndexVersion:
    """All products of one catalogue version in the vector space of one model version.

    ``building`` and ``verified`` versions answer no query; one version at most is ``live``; ``retired`` ones were.
    """

    id: int
    model_name: str
    model_version: str
    model_hash: str
    catalogue_version: str
    dimension: int
    state: State
    products: int | None
    """Number of vectors; None while they are being added."""
    recall_at_10: float | None
    """Share of exact search's first ten that the HNSW index finds; None until verified."""
    created_at: datetime
    live_at: datetime | None


@dataclass(frozen=True, slots=True)
class Hit:
    """One product found; ``score`` is the cosine similarity, -1 to 1."""

    product_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found, all in the vector space of ``version``."""

    hits: list[Hit]
    version: IndexVersion
    is_exact: bool
    """Every product that passes the filter was compared; otherwise the HNSW index chose."""
    has_more: bool
    """There are more hits after these."""
    is_truncated: bool
    """The HNSW index ended before it found as many as were asked for, though there are more products."""
