"""Relay connections: pages of a search and of the catalogue, with counts and facets of all, not of the page."""

from __future__ import annotations

import strawberry
from anyio.to_thread import run_sync
from strawberry.types import Info

from api.context import QueryContext
from api.cursors import file_cursor
from api.live_model import OlderModel
from api.schema.permissions import readable
from api.schema.types import Facet, FashionFile
from api.search import FoundProduct, SearchPage
from catalog.filters import ProductFilter
from catalog.index.left_behind import Kind
from catalog.store import FashionFile as FileRow

Request = Info[QueryContext, None]


async def _cursor(root: SearchEdge | FileEdge) -> str:
    """Made when it is asked for."""
    return root.cursor_text()


async def _start_cursor(root: PageInfo) -> str | None:
    """Made when it is asked for."""
    return root.page_edges[0].cursor_text() if root.page_edges else None


async def _end_cursor(root: PageInfo) -> str | None:
    """Made when it is asked for."""
    return root.page_edges[-1].cursor_text() if root.page_edges else None


@strawberry.type(description="Where a page lies among the others (Relay).")
class PageInfo:
    """Cursors are made when they are asked for: one of a search has a kilobyte or two."""

    has_next_page: bool = readable(description="Whether there are more after these.")
    has_previous_page: bool = readable(description="Whether this page began at a cursor.")

    start_cursor: str | None = readable(
        resolver=_start_cursor, description="The cursor of the first on this page; null where it is empty."
    )
    end_cursor: str | None = readable(
        resolver=_end_cursor, description="Give it as `after` for the next page; null where this one is empty."
    )
    page_edges: strawberry.Private[list[SearchEdge] | list[FileEdge]]


@strawberry.type(description="An older index that answers beside the live one.")
class BesideIndex:
    """For products whose clients have not embedded them for the live model yet."""

    index_version: int = readable(description="The older index.")
    model_version: str = readable(description="The model that made it; in its own space the query was read once more.")
    products: int = readable(description="How many products only it holds.")
    score_error: float | None = readable(
        description="By how much its scores, brought to the live scale, are off (root mean square); null: not measured."
    )

    @classmethod
    def of(cls, older: OlderModel, kind: Kind) -> BesideIndex:
        """The same, as GraphQL shows it."""
        straggling = older.straggling
        return cls(
            index_version=straggling.version.id,
            model_version=straggling.version.model_version,
            products=straggling.products,
            score_error=straggling.calibration(kind).error,
        )


@strawberry.type(description="One product that a search found.")
class SearchEdge:
    """A product with its score."""

    score: float = readable(description="Cosine similarity to the query, from -1 to 1.")
    index_version: int = readable(description="Where it was found: the live index, or one of `beside`.")
    node: FashionFile = readable(description="The product.")

    cursor: str = readable(resolver=_cursor, description="Where the search goes on after this product, for `after`.")
    page: strawberry.Private[SearchPage]
    number: strawberry.Private[int]

    def cursor_text(self) -> str:
        """The cursor, made now."""
        return self.page.cursor(self.number)

    @classmethod
    def of(cls, page: SearchPage, hit: FoundProduct) -> SearchEdge:
        """The same hit, as GraphQL shows it."""
        return cls(
            score=hit.score, index_version=hit.index_version, node=FashionFile.of(hit.row), page=page, number=hit.number
        )


@strawberry.type(description="One product of the catalogue.")
class FileEdge:
    """A product and its place in the order of ids."""

    node: FashionFile = readable(description="The product.")

    cursor: str = readable(resolver=_cursor, description="Where the catalogue goes on after this product, for `after`.")

    def cursor_text(self) -> str:
        """The cursor, made now."""
        return file_cursor(self.node.id)


async def _total_count(root: SearchConnection | FileConnection, info: Request) -> int:
    """Counted when it is asked for."""
    return await run_sync(info.context.services.files.count, root.wanted)


async def _facets(root: SearchConnection | FileConnection, info: Request) -> list[Facet]:
    """Counted when they are asked for."""
    found = await run_sync(info.context.services.files.facets, root.wanted)
    return [Facet.of(attribute, values) for attribute, values in found.items()]


COUNTED = "Exactly how many products pass the filter; a search gives each of them a rank."
FACETS = "How many products have each value, of all that pass the filter."


@strawberry.type(description="What a search found, and with what it searched.")
class SearchConnection:
    """One page of a search."""

    edges: list[SearchEdge] = readable(description="Best first.")
    page_info: PageInfo = readable(description="Where this page lies.")
    index_version: int = readable(description="The index that was searched.")
    model_version: str = readable(description="The model that made the index and read the query.")
    model_hash: str = readable(description="Content hash of that model: a number may be given twice, this is not.")
    catalogue_version: str = readable(description="The catalogue whose products the index holds.")
    exact: bool = readable(description="Whether every product was compared; false: an approximate index was used.")
    route: str = readable(
        description="The way the search took: exact, graph (of all products) or partial_graph (of one value)."
    )
    recall: float | None = readable(
        description="Share of the ten nearest that such searches find, as last measured; 1 where every product was "
        "compared, null where it was not measured."
    )
    matching: int = readable(description="About how many products pass the filter; exact for one attribute.")
    truncated: bool = readable(
        description="Whether the search was cut short: variety is looked for among the nearest 1,000 only."
    )
    beside: list[BesideIndex] = readable(
        description="Older indexes that were searched too, for products that clients have not embedded anew yet."
    )
    total_count: int = readable(resolver=_total_count, description=COUNTED)
    facets: list[Facet] = readable(resolver=_facets, description=FACETS)
    wanted: strawberry.Private[ProductFilter]

    @classmethod
    def of(cls, page: SearchPage) -> SearchConnection:
        """The same page, as GraphQL shows it."""
        edges = [SearchEdge.of(page, hit) for hit in page.hits]
        index, answer = page.model.index, page.answer
        return cls(
            edges=edges,
            page_info=PageInfo(has_next_page=page.has_next, has_previous_page=page.has_previous, page_edges=edges),
            index_version=index.id,
            model_version=index.model_version,
            model_hash=index.model_hash,
            catalogue_version=index.catalogue_version,
            exact=answer.is_exact,
            route=answer.route,
            recall=answer.expected_recall,
            matching=answer.passing,
            truncated=answer.is_cut,
            beside=[BesideIndex.of(older, page.kind) for older in page.older],
            wanted=page.wanted.filter,
        )


@strawberry.type(description="A page of the catalogue, in the order of ids.")
class FileConnection:
    """What browsing shows."""

    edges: list[FileEdge] = readable(description="In the order of ids.")
    page_info: PageInfo = readable(description="Where this page lies.")
    total_count: int = readable(resolver=_total_count, description="Exactly how many products pass the filter.")
    facets: list[Facet] = readable(resolver=_facets, description=FACETS)
    wanted: strawberry.Private[ProductFilter]

    @classmethod
    def of(cls, rows: list[FileRow], wanted: ProductFilter, *, has_next: bool, has_previous: bool) -> FileConnection:
        """The rows, as GraphQL shows them."""
        edges = [FileEdge(node=FashionFile.of(row)) for row in rows]
        info = PageInfo(has_next_page=has_next, has_previous_page=has_previous, page_edges=edges)
        return cls(edges=edges, page_info=info, wanted=wanted)
