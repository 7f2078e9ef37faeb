"""Products that the live version lacks, searched beside it: in the older version that has them, and in its own space.

A client that was away when a new model went live is found all the same. What is asked is encoded once more by the older
model, and hits come with scores on the live version's scale, so that both can stand in one list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from api.asked import Asked
from api.errors import NotFound
from api.live_model import LoadedModel
from api.ports import Index, Vectors
from api.vectors import QueryVectors
from catalog.errors import IndexVersionMissing
from catalog.filters import ProductFilter
from catalog.index import Answer, Place
from catalog.index.left_behind import Kind, Straggling, merged
from catalog.index.records import Hit


class Older(Protocol):
    """Searches older versions; `catalog.index.left_behind.LeftBehind` in production."""

    def search(
        self, straggling: Straggling, vector: Vectors, k: int, *, kind: Kind, filters: ProductFilter, after: Place
    ) -> list[Hit]:
        """The nearest of the products that only this version has, with scores on the live scale."""


@dataclass(frozen=True)
class Found:
    """What an older version gave."""

    straggling: Straggling
    hits: list[Hit]


@dataclass(frozen=True)
class Beside:
    """Asks the older versions, where there are any."""

    older: Older
    vectors: QueryVectors
    index: Index

    def find(
        self, asked: Asked, model: LoadedModel, *, first: int, filters: ProductFilter, after: Place
    ) -> list[Found]:
        """Up to ``first`` + 1 hits of each version that answers beside ``model``; costs an encoding by each.

        A version that does not know the product which others shall be like, or that is gone by now, gives nothing.
        """
        kind = kind_of(asked)
        found = []
        for beside in model.older:
            try:
                vector = asked.vector(beside.model, self.vectors, self.index)
                hits = self.older.search(beside.straggling, vector, first + 1, kind=kind, filters=filters, after=after)
            except (NotFound, IndexVersionMissing):
                continue
            found.append(Found(beside.straggling, hits))
        return found


def kind_of(asked: Asked) -> Kind:
    """By which figures scores are brought to the live scale."""
    return "text" if asked.kind == "text" else "image"


def with_older(answer: Answer, found: Sequence[Found], *, first: int) -> Answer:
    """The answer of the live version and of the older ones as one, best first; its places go on in all of them.

    Ask the older ones first: a product that moves meanwhile is then found twice, and not never. Here the live version's
    hit of it is the one that counts.
    """
    live = {hit.product_id for hit in answer.hits}
    older = [[hit for hit in beside.hits if hit.product_id not in live] for beside in found]
    hits = merged(answer.hits, *older, k=len(answer.hits) + sum(map(len, older)))
    return replace(answer, hits=hits[:first], has_more=answer.has_more or len(hits) > first)
