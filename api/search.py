"""Search: a question becomes a vector, the live index finds its neighbours, the catalogue names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from api.asked import Asked
from api.beside import Beside, Found, kind_of, with_older
from api.cursors import Cursor
from api.live_model import LiveModel, LoadedModel, OlderModel
from api.metrics import ApiMetrics, Stopwatch
from api.ports import Files, Index, Vectors
from api.vectors import QueryVectors
from catalog.filters import ProductFilter
from catalog.index import ANYTHING, Answer, Place, Variety
from catalog.index.left_behind import Kind
from catalog.store import FashionFile
from core.tracing import span

EVERYTHING = ProductFilter()


@dataclass(frozen=True)
class Wanted:
    """Which products a search may find."""

    filter: ProductFilter = EVERYTHING
    min_score: float | None = None
    variety: Variety = ANYTHING


class FoundProduct(NamedTuple):
    """One hit. A tuple: a page makes a hundred of them, and a frozen dataclass takes four times as long."""

    score: float
    row: FashionFile
    number: int
    """Its place in the page, from 0."""
    index_version: int
    """Where it was found: the live version, or an older one that answers beside it."""


@dataclass(frozen=True)
class SearchPage:
    """One page of a search."""

    hits: list[FoundProduct]
    model: LoadedModel
    answer: Answer
    has_next: bool
    has_previous: bool
    wanted: Wanted
    vector: Vectors
    question: bytes
    kind: Kind = "text"
    older: tuple[OlderModel, ...] = ()
    """The versions that answered beside the live one."""

    def cursor(self, number: int) -> str:
        """Where the search goes on after the hit of this number."""
        return Cursor(self.model.index.id, self.answer.place_after(number), self.vector).encode(self.question)


@dataclass(frozen=True)
class Search:
    """Answers searches by words, by picture, and by a product."""

    model: LiveModel
    vectors: QueryVectors
    index: Index
    files: Files
    metrics: ApiMetrics = field(default_factory=ApiMetrics)
    beside: Beside | None = None
    """Finds what the live version lacks; None: nothing is looked for in older ones."""

    def find(self, asked: Asked, *, first: int, after: str | None = None, wanted: Wanted | None = None) -> SearchPage:
        """The ``first`` products that fit best, from a cursor on.

        Costs one encoding of each text and picture, or none where it is remembered or goes on from a cursor.

        Raises:
            SearchNotReady: no model is loaded.
            ArgumentInvalid: the cursor belongs to another search, or the question contradicts itself.
            IndexChanged: the cursor belongs to another index.
            NotFound: the index does not hold the product that others shall be like.
        """
        wanted = wanted or Wanted()
        watch, model = Stopwatch(), self.model.current()
        question = asked.digest() + b"\0" + repr((wanted.filter, wanted.variety)).encode()
        start = self._start(asked, after, question, model)
        # The older versions first: a product that moves meanwhile is then found twice, and not never.
        older = self._older(asked, model, first, start, wanted)
        found = with_older(
            self.index.search(
                start.vector,
                first,
                filters=wanted.filter,
                after=start.place,
                version=start.version,
                variety=wanted.variety,
            ),
            older,
            first=first,
        )
        versions = {hit.product_id: part.straggling.version.id for part in older for hit in part.hits}
        rows = {row.id: row for row in self.files.files([hit.product_id for hit in found.hits])}
        self.metrics.search(asked.kind, watch.seconds, route=found.route)
        is_enough = wanted.min_score is not None and any(hit.score < wanted.min_score for hit in found.hits)
        return SearchPage(
            # A product that left the catalogue after it was indexed is not shown.
            hits=[
                FoundProduct(hit.score, rows[hit.product_id], number, versions.get(hit.product_id, model.index.id))
                for number, hit in enumerate(found.hits)
                if hit.product_id in rows and (wanted.min_score is None or hit.score >= wanted.min_score)
            ],
            model=model,
            answer=found,
            has_next=found.has_more and not is_enough,
            has_previous=after is not None,
            wanted=wanted,
            vector=start.vector,
            question=question,
            kind=kind_of(asked),
            older=() if wanted.variety.is_asked else model.older,
        )

    def _older(self, asked: Asked, model: LoadedModel, first: int, start: Cursor, wanted: Wanted) -> list[Found]:
        """What older versions find. Variety is looked for in the live one alone."""
        if self.beside is None or not model.older or wanted.variety.is_asked:
            return []
        return self.beside.find(asked, model, first=first, filters=wanted.filter, after=start.place)

    def _start(self, asked: Asked, after: str | None, question: bytes, model: LoadedModel) -> Cursor:
        if after is not None:
            return Cursor.decode(after, question, version=model.index.id)
        with span("query vector", search_kind=asked.kind):
            vector = asked.vector(model, self.vectors, self.index)
        # A product is the most like itself, and not what is looked for.
        shown = () if asked.product is None else (asked.product,)
        # At the precision of a cursor from the first page on, or the second one would be another search's.
        return Cursor(model.index.id, Place(shown=shown), half(vector))


def half(vector: Vectors) -> Vectors:
    """The vector as it is at half precision, by which the index compares."""
    return vector.astype("float16").astype("float32")
