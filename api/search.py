"""Search: a query becomes a vector, the live index finds its neighbours, the catalogue names them."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

from api.errors import ArgumentInvalid
from api.live_model import LiveModel, LoadedModel
from api.metrics import ApiMetrics, Stopwatch
from api.ports import Files, Index, Vectors
from api.vectors import QueryVectors
from catalog.filters import ProductFilter
from catalog.store import FashionFile
from core.tracing import span

EVERYTHING = ProductFilter()
MAX_DEPTH = 1_000
"""How deep one may page: an approximate index has nothing to say about the ten-thousandth neighbour."""


@dataclass(frozen=True)
class SearchPage:
    """One page of a search."""

    hits: list[tuple[float, FashionFile]]
    index_version: int
    model_version: str
    model_hash: str
    catalogue_version: str
    exact: bool
    route: str
    recall: float | None
    matching: int
    truncated: bool
    next_cursor: str | None


@dataclass(frozen=True)
class Search:
    """Answers searches by words and by picture."""

    model: LiveModel
    vectors: QueryVectors
    index: Index
    files: Files
    metrics: ApiMetrics = field(default_factory=ApiMetrics)

    def by_text(self, words: str, *, limit: int, after: str | None, wanted: ProductFilter | None) -> SearchPage:
        """The products whose pictures fit ``words`` best. Costs one encoding of a text, or none if remembered.

        Raises:
            SearchNotReady: no model is loaded.
            ArgumentInvalid: the cursor belongs to another search or another index.
        """
        page = _Page(b"text" + words.encode(), limit, after, wanted)
        return self._search("text", page, lambda model: self.vectors.of_text(model, words))

    def by_image(self, picture: bytes, *, limit: int, after: str | None, wanted: ProductFilter | None) -> SearchPage:
        """The products whose pictures look most like ``picture``; raises as by_text does."""
        page = _Page(b"image" + picture, limit, after, wanted)
        return self._search("image", page, lambda model: self.vectors.of_image(model, picture))

    def _search(self, kind: str, page: _Page, vector_of: Callable[[LoadedModel], Vectors]) -> SearchPage:
        watch, model = Stopwatch(), self.model.current()
        version = model.index.id
        offset = page.offset(version)
        with span("query vector", search_kind=kind):
            vector = vector_of(model)
        found = self.index.search(vector, page.limit, filters=page.wanted or EVERYTHING, offset=offset, version=version)
        rows = {row.id: row for row in self.files.files([hit.product_id for hit in found.hits])}
        self.metrics.search(kind, watch.seconds, route=found.route)
        end = offset + page.limit
        may_go_on = end + page.limit <= MAX_DEPTH
        return SearchPage(
            # A product that left the catalogue after it was indexed is not shown.
            hits=[(hit.score, rows[hit.product_id]) for hit in found.hits if hit.product_id in rows],
            index_version=version,
            model_version=model.index.model_version,
            model_hash=model.index.model_hash,
            catalogue_version=model.index.catalogue_version,
            exact=found.is_exact,
            route=found.route,
            recall=found.expected_recall,
            matching=found.passing,
            truncated=found.is_truncated or (found.has_more and not may_go_on),
            next_cursor=page.cursor(version, end) if found.has_more and may_go_on else None,
        )


@dataclass(frozen=True)
class _Page:
    query: bytes
    limit: int
    after: str | None
    wanted: ProductFilter | None

    def cursor(self, version: int, offset: int) -> str:
        return urlsafe_b64encode(f"{version}.{offset}.{self._digest()}".encode()).rstrip(b"=").decode()

    def offset(self, version: int) -> int:
        if self.after is None:
            return 0
        of_version, offset, digest = _parts(self.after)
        if digest != self._digest():
            raise ArgumentInvalid("after belongs to another search.", hint="Give it with the same query and filter.")
        if of_version != version:
            raise ArgumentInvalid("The index has changed since.", hint="Search again from the first page.")
        if not 0 <= offset <= MAX_DEPTH:
            raise _not_a_cursor()
        return offset

    def _digest(self) -> str:
        return hashlib.sha256(self.query + b"\0" + repr(self.wanted).encode()).hexdigest()[:16]


def _parts(cursor: str) -> tuple[int, int, str]:
    try:
        version, offset, digest = urlsafe_b64decode(cursor[:200] + "=" * (-len(cursor) % 4)).decode().split(".")
        return int(version), int(offset), digest
    except ValueError:
        raise _not_a_cursor() from None


def _not_a_cursor() -> ArgumentInvalid:
    return ArgumentInvalid("after is no cursor.", hint="Give the nextCursor of the page before.")
