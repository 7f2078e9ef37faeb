"""The queries of the GraphQL contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import strawberry
from anyio.to_thread import run_sync
from strawberry.types import Info

from api.context import QueryContext, Services
from api.schema.arguments import MAX_INT, FileFilter, Upload, checked_page, checked_picture, checked_query
from api.schema.permissions import readable
from api.schema.types import FashionFile, SearchAnswer

T = TypeVar("T")
Asked = Info[QueryContext, None]


async def _answered(info: Asked, work: Callable[[Services], T]) -> T:
    # Database, model and cache block: off the event loop, so that one slow query delays no other.
    services = info.context.services
    with services.metrics.operation(info.field_name):
        return await run_sync(work, services)


async def all_files(info: Asked, limit: int = 50, offset: int = 0) -> list[FashionFile]:
    """A page of the whole catalogue."""
    limit, offset = checked_page(limit, offset)
    rows = await _answered(info, lambda services: services.files.all_files(limit, offset))
    return [FashionFile.of(row) for row in rows]


async def files_by_filters(
    info: Asked,
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
    given = {
        "master_category": master_category,
        "sub_category": sub_category,
        "article_type": article_type,
        "gender": gender,
        "base_colour": base_colour,
        "season": season,
        "year": year,
        "usage": usage,
    }
    wanted = FileFilter()
    for name, value in given.items():
        setattr(wanted, name, None if value is None else [value])
    passing = wanted.checked()
    limit, offset = checked_page(limit, offset)
    rows = await _answered(info, lambda services: services.files.files_by_filters(passing, limit, offset))
    return [FashionFile.of(row) for row in rows]


async def file(info: Asked, id: int) -> FashionFile | None:
    """One product."""
    row = await _answered(info, lambda services: services.files.file(id)) if 0 <= id <= MAX_INT else None
    return FashionFile.of(row) if row else None


async def search_by_text(
    info: Asked,
    text: str,
    limit: int = 20,
    after: str | None = None,
    filter: FileFilter | None = None,
) -> SearchAnswer:
    """The products whose pictures fit the words."""
    words = checked_query(text)
    limit, _ = checked_page(limit, 0)
    wanted = filter.checked() if filter else None
    answer = await _answered(info, lambda s: s.search.by_text(words, limit=limit, after=after, wanted=wanted))
    return SearchAnswer.of(answer)


async def search_by_image(
    info: Asked,
    image: str | None = None,
    upload: Upload | None = None,
    limit: int = 20,
    after: str | None = None,
    filter: FileFilter | None = None,
) -> SearchAnswer:
    """The products whose pictures look like this one."""
    picture = checked_picture(image, upload)
    limit, _ = checked_page(limit, 0)
    wanted = filter.checked() if filter else None
    answer = await _answered(info, lambda s: s.search.by_image(picture, limit=limit, after=after, wanted=wanted))
    return SearchAnswer.of(answer)


@strawberry.type(description="Everything that can be asked.")
class Query:
    """The root."""

    all_files: list[FashionFile] = readable(resolver=all_files, description="The catalogue, in the order of ids.")
    files_by_filters: list[FashionFile] = readable(
        resolver=files_by_filters, description="The products with exactly these attributes, in the order of ids."
    )
    file: FashionFile | None = readable(resolver=file, description="One product; null when there is none.")
    search_by_text: SearchAnswer = readable(resolver=search_by_text, description="Search by words.")
    search_by_image: SearchAnswer = readable(
        resolver=search_by_image, description="Search by a picture: `image` in base64, or `upload` as multipart."
    )
