"""The queries of the GraphQL contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import strawberry
from anyio.to_thread import run_sync
from strawberry.types import Info

from api.asked import Asked
from api.context import QueryContext, Services
from api.schema.arguments import (
    MAX_INT,
    FileFilter,
    Upload,
    checked_page,
    checked_picture,
    checked_query,
    checked_score,
    checked_share,
)
from api.schema.permissions import readable
from api.schema.types import Facet, FashionFile, SearchAnswer
from catalog.filters import ProductFilter

T = TypeVar("T")
Request = Info[QueryContext, None]


async def _answered(info: Request, work: Callable[[Services], T]) -> T:
    # Database, model and cache block: off the event loop, so that one slow query delays no other.
    services = info.context.services
    with services.metrics.operation(info.field_name):
        return await run_sync(work, services)


async def all_files(info: Request, limit: int = 50, offset: int = 0) -> list[FashionFile]:
    """A page of the whole catalogue."""
    limit, offset = checked_page(limit, offset)
    rows = await _answered(info, lambda services: services.files.all_files(limit, offset))
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
    limit, offset = checked_page(limit, offset)
    rows = await _answered(info, lambda services: services.files.files_by_filters(wanted, limit, offset))
    return [FashionFile.of(row) for row in rows]


async def file(info: Request, id: int) -> FashionFile | None:
    """One product."""
    row = await _answered(info, lambda services: services.files.file(id)) if 0 <= id <= MAX_INT else None
    return FashionFile.of(row) if row else None


async def search_by_text(
    info: Request,
    text: str,
    limit: int = 20,
    after: str | None = None,
    filter: FileFilter | None = None,
    without: str | None = None,
    min_score: float | None = None,
) -> SearchAnswer:
    """The products whose pictures fit the words."""
    asked = Asked(text=checked_query(text), without=_optional("without", without))
    return await _searched(info, asked, limit, after, filter, min_score)


async def search_by_image(
    info: Request,
    image: str | None = None,
    upload: Upload | None = None,
    limit: int = 20,
    after: str | None = None,
    filter: FileFilter | None = None,
    text: str | None = None,
    text_weight: float = 0.5,
    without: str | None = None,
    min_score: float | None = None,
) -> SearchAnswer:
    """The products whose pictures look like this one, or fit it and the words."""
    asked = Asked(
        picture=checked_picture(image, upload),
        text=_optional("text", text),
        text_weight=checked_share("textWeight", text_weight),
        without=_optional("without", without),
    )
    return await _searched(info, asked, limit, after, filter, min_score)


async def similar_to(
    info: Request,
    id: int,
    limit: int = 20,
    after: str | None = None,
    filter: FileFilter | None = None,
    without: str | None = None,
    min_score: float | None = None,
) -> SearchAnswer:
    """The products that are most like one of the catalogue, which is not among them."""
    asked = Asked(product=id, without=_optional("without", without))
    return await _searched(info, asked, limit, after, filter, min_score)


async def facets(info: Request, filter: FileFilter | None = None) -> list[Facet]:
    """How many products have each value, among those that pass the filter."""
    wanted = filter.checked() if filter else ProductFilter()
    found = await _answered(info, lambda services: services.files.facets(wanted))
    return [Facet.of(attribute, values) for attribute, values in found.items()]


def _one(value: str | None) -> list[str] | None:
    return None if value is None else [value]


def _optional(name: str, text: str | None) -> str | None:
    return None if text is None else checked_query(text, name=name)


async def _searched(
    info: Request,
    asked: Asked,
    limit: int,
    after: str | None,
    filter: FileFilter | None,
    min_score: float | None,
) -> SearchAnswer:
    limit, _ = checked_page(limit, 0)
    wanted = filter.checked() if filter else None
    least = None if min_score is None else checked_score(min_score)
    page = await _answered(
        info, lambda s: s.search.find(asked, limit=limit, after=after, wanted=wanted, min_score=least)
    )
    return SearchAnswer.of(page)


@strawberry.type(description="Everything that can be asked.")
class Query:
    """The root."""

    all_files: list[FashionFile] = readable(resolver=all_files, description="The catalogue, in the order of ids.")
    files_by_filters: list[FashionFile] = readable(
        resolver=files_by_filters, description="The products with exactly these attributes, in the order of ids."
    )
    file: FashionFile | None = readable(resolver=file, description="One product; null when there is none.")
    facets: list[Facet] = readable(
        resolver=facets, description="How many products have each value of each attribute, of all that pass the filter."
    )
    search_by_text: SearchAnswer = readable(
        resolver=search_by_text, description="Search by words; `without` tells what it shall not be, as in `striped`."
    )
    search_by_image: SearchAnswer = readable(
        resolver=search_by_image,
        description="Search by a picture: `image` in base64, or `upload` as multipart; `text` beside it counts by "
        "`textWeight`, from 0 (the picture alone) to 1.",
    )
    similar_to: SearchAnswer = readable(
        resolver=similar_to, description="The products most like one of the catalogue, by its `id`."
    )
