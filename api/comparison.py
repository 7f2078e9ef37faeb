"""One query before two model versions, each searching its own index, and what moved between their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.encoder_shelf import EncoderShelf
from api.errors import ArgumentInvalid, NotFound
from api.ports import Files, Index
from api.vectors import QueryVectors
from catalog.errors import IndexVersionMissing
from catalog.filters import ProductFilter
from catalog.index import Answer, IndexVersion
from catalog.store import FashionFile

LOOKED_AT = 100
"""Hits of each version among which a product's rank is looked up."""
SEARCHED = ("live", "retired")


@dataclass(frozen=True)
class ComparedHit:
    """One product that a version found."""

    rank: int
    """From 1."""
    score: float
    row: FashionFile
    moved_from: int | None
    """Its rank in the other version; None: it is not among the first LOOKED_AT there."""


@dataclass(frozen=True)
class ComparedSide:
    """What one version found."""

    index: IndexVersion
    answer: Answer
    hits: list[ComparedHit]


@dataclass(frozen=True)
class Comparison:
    """Asks two model versions the same."""

    shelf: EncoderShelf
    vectors: QueryVectors
    index: Index
    files: Files

    def compare(self, text: str, versions: Sequence[str], *, first: int, wanted: ProductFilter) -> list[ComparedSide]:
        """What each of two model versions finds, in their order.

        Scores of two versions are not comparable, ranks are. Costs the loading of a model where a version is not live.

        Raises:
            ArgumentInvalid: not two versions.
            NotFound: no index of one of them is there any more.
            ModelMissing, ModelDamaged, TrackingUnreachable: its model cannot be had.
        """
        if len(versions) != 2 or versions[0] == versions[1]:
            raise ArgumentInvalid("Two versions are compared.", hint="Name two: see modelVersions.")
        known = self.index.versions()
        indexes = [_index_of(version, known) for version in versions]
        answers = [self._answer(index, text, wanted) for index in indexes]
        ids = {hit.product_id for answer in answers for hit in answer.hits}
        # A product that left the catalogue after it was indexed has no rank.
        rows = {row.id: row for row in self.files.files(sorted(ids))}
        ranks = [_ranks(answer, rows) for answer in answers]
        others = (ranks[1], ranks[0])
        return [
            ComparedSide(index, answer, _hits(answer, rows, own, other, first))
            for index, answer, own, other in zip(indexes, answers, ranks, others, strict=True)
        ]

    def _answer(self, index: IndexVersion, text: str, wanted: ProductFilter) -> Answer:
        with self.shelf.lent(index) as model:
            vector = self.vectors.of_text(model, text)
        try:
            return self.index.search(vector, LOOKED_AT, filters=wanted, version=index.id)
        except IndexVersionMissing:
            raise _no_index(index.model_version) from None


def _index_of(version: str, known: Sequence[IndexVersion]) -> IndexVersion:
    """The index of a model version that searches can use: the live one, or else the last that was built."""
    found = [index for index in known if index.model_version == version and index.state in SEARCHED]
    if not found:
        raise _no_index(version)
    return min(found, key=lambda index: (SEARCHED.index(index.state), -index.id))


def _no_index(version: str) -> NotFound:
    return NotFound(
        f"There is no index of model version {version[:40]!r}.",
        hint="See indexVersions: those that are live or retired can be searched.",
    )


def _ranks(answer: Answer, rows: dict[int, FashionFile]) -> dict[int, int]:
    ids = [hit.product_id for hit in answer.hits if hit.product_id in rows]
    return {number: rank for rank, number in enumerate(ids, 1)}


def _hits(
    answer: Answer, rows: dict[int, FashionFile], own: dict[int, int], other: dict[int, int], first: int
) -> list[ComparedHit]:
    return [
        ComparedHit(own[hit.product_id], hit.score, rows[hit.product_id], other.get(hit.product_id))
        for hit in answer.hits
        if own.get(hit.product_id, first + 1) <= first
    ]
