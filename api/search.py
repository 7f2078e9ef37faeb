"""Search: a question becomes a vector, the live index finds its neighbours, the catalogue names them."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field

from api.asked import Asked
from api.errors import ArgumentInvalid
from api.live_model import LiveModel
from api.metrics import ApiMetrics, Stopwatch
from api.ports import Files, Index
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
    wanted: ProductFilter = EVERYTHING


@dataclass(frozen=True)
class Search:
    """Answers searches by words, by picture, and by a product."""

    model: LiveModel
    vectors: QueryVectors
    index: Index
    files: Files
    metrics: ApiMetrics = field(default_factory=ApiMetrics)

    def find(
        self,
        asked: Asked,
        *,
        limit: int,
        after: str | None = None,
        wanted: ProductFilter | None = None,
        min_score: float | None = None,
    ) -> SearchPage:
        """The products that fit best. Costs one encoding of each text and picture, or none if remembered.

        Raises:
            SearchNotReady: no model is loaded.
            ArgumentInvalid: the cursor belongs to another search or another index, or the question contradicts itself.
            NotFound: the index does not hold the product that others shall be like.
        """
        watch, model = Stopwatch(), self.model.current()
        version, page = model.index.id, _Page(asked.digest(), limit, after, wanted)
        offset = page.offset(version)
        with span("query vector", search_kind=asked.kind):
            vector = asked.vector(model, self.vectors, self.index)
        # One more where a product asks: it is the most like itself, and not what is looked for.
        fetch = limit + (asked.product is not None)
        found = self.index.search(vector, fetch, filters=wanted or EVERYTHING, offset=offset, version=version)
        taken = found.hits if asked.product in {hit.product_id for hit in found.hits} else found.hits[:limit]
        hits = [hit for hit in taken if min_score is None or hit.score >= min_score]
        rows = {row.id: row for row in self.files.files([hit.product_id for hit in hits])}
        self.metrics.search(asked.kind, watch.seconds, route=found.route)
        has_more = (found.has_more or len(taken) < len(found.hits)) and len(hits) == len(taken)
        end = offset + len(taken)
        may_go_on = end + limit <= MAX_DEPTH
        return SearchPage(
            # A product that left the catalogue after it was indexed is not shown.
            hits=[
                (hit.score, rows[hit.product_id])
                for hit in hits
                if hit.product_id in rows and hit.product_id != asked.product
            ],
            index_version=version,
            model_version=model.index.model_version,
            model_hash=model.index.model_hash,
            catalogue_version=model.index.catalogue_version,
            exact=found.is_exact,
            route=found.route,
            recall=found.expected_recall,
            matching=found.passing,
            truncated=has_more and not may_go_on,
            next_cursor=page.cursor(version, end) if has_more and may_go_on else None,
            wanted=wanted or EVERYTHING,
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
