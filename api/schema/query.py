"""The queries of the GraphQL contract."""

from __future__ import annotations

import strawberry

from api.arguments import MAX_INT, checked_offset
from api.context import Services
from api.cursors import after_file
from api.schema.answering import Request, answered, counted
from api.schema.arguments import FileFilter
from api.schema.comparing import ComparingQueries
from api.schema.connections import FileConnection, SearchConnection
from api.schema.federation import FederationQueries
from api.schema.permissions import readable
from api.schema.products import OWN_PRODUCTS, UNPUBLISHED_PRODUCTS, OwnProduct
from api.schema.searches import search_by_image, search_by_text, similar_to
from api.schema.types import Facet, FashionFile
from catalog import store
from catalog.filters import ProductFilter


async def all_files(info: Request, limit: int = 50, offset: int = 0) -> list[FashionFile]:
    """A page of the whole catalogue."""
    limit, offset = counted(info, limit, name="limit"), checked_offset(offset)
    rows = await answered(info, lambda services: services.files.all_files(limit, offset))
    return [FashionFile.of(row) for row in rows]


async def files_by_filters(
    info: Request,
    master_category: str | None = None,
    sub_category: str | None = None,
    article_type: str | None = None,
    gender: str | None = None,
    base_colour: str | None = None,
    season: str | None = None,
    year: str | None = None,
    usage: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[FashionFile]:
    """A page of the products with these attributes."""
    wanted = FileFilter(
        master_category=_one(master_category),
        sub_category=_one(sub_category),
        article_type=_one(article_type),
        gender=_one(gender),
        base_colour=_one(base_colour),
        season=_one(season),
        year=_one(year),
        usage=_one(usage),
    ).checked()
    limit, offset = counted(info, limit, name="limit"), checked_offset(offset)

    def find(services: Services) -> list[store.FashionFile]:
        return services.files.files_by_filters(services.vocabulary.checked(wanted), limit, offset)

    rows = await answered(info, find)
    return [FashionFile.of(row) for row in rows]


async def file(info: Request, id: int) -> FashionFile | None:
    """One product."""
    row = await answered(info, lambda services: services.files.file(id)) if 0 <= id <= MAX_INT else None
    return FashionFile.of(row) if row else None


async def files(
    info: Request, first: int = 20, after: str | None = None, filter: FileFilter | None = None
) -> FileConnection:
    """A page of the products that pass the filter, by cursor."""
    wanted = filter.checked() if filter else ProductFilter()
    first, last = counted(info, first), 0 if after is None else after_file(after)

    def find(services: Services) -> list[store.FashionFile]:
        # One more than asked for tells whether there are more.
        return services.files.files_after(services.vocabulary.checked(wanted), last, first + 1)

    rows = await answered(info, find)
    return FileConnection.of(rows[:first], wanted, has_next=len(rows) > first, has_previous=after is not None)


async def facets(info: Request, filter: FileFilter | None = None) -> list[Facet]:
    """How many products have each value, among those that pass the filter."""
    wanted = filter.checked() if filter else ProductFilter()
    found = await answered(info, lambda services: services.files.facets(services.vocabulary.checked(wanted)))
    return [Facet.of(attribute, values) for attribute, values in found.items()]


def _one(value: str | None) -> list[str] | None:
    return None if value is None else [value]


@strawberry.type(description="Everything that can be asked.")
class Query(FederationQueries, ComparingQueries):
    """The root."""

    all_files: list[FashionFile] = readable(resolver=all_files, description="The catalogue, in the order of ids.")
    files_by_filters: list[FashionFile] = readable(
        resolver=files_by_filters, description="The products with exactly these attributes, in the order of ids."
    )
    file: FashionFile | None = readable(resolver=file, description="One product; null when there is none.")
    files: FileConnection = readable(
        resolver=files, description="The catalogue by cursor, in the order of ids, with counts of all that pass."
    )
    facets: list[Facet] = readable(
        resolver=facets, description="How many products have each value of each attribute, of all that pass the filter."
    )
    search_by_text: SearchConnection = readable(
        resolver=search_by_text, description="Search by words; `without` tells what it shall not be, as in `striped`."
    )
    search_by_image: SearchConnection = readable(
        resolver=search_by_image,
        description="Search by a picture: `image` in base64, or `upload` as multipart; `text` beside it counts by "
        "`textWeight`, from 0 (the picture alone) to 1.",
    )
    similar_to: SearchConnection = readable(
        resolver=similar_to, description="The products most like one of the catalogue, by its `id`."
    )
    own_products: list[OwnProduct] = OWN_PRODUCTS
    unpublished_products: list[OwnProduct] = UNPUBLISHED_PRODUCTS
