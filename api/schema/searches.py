"""Searches: by words, by a picture, by both, by a product."""

from __future__ import annotations

from typing import Annotated

import strawberry

from api.arguments import (
    checked_most,
    checked_picture,
    checked_query,
    checked_score,
    checked_share,
)
from api.asked import Asked
from api.context import Services
from api.schema.answering import Request, answered, counted
from api.schema.arguments import FileFilter, Upload
from api.schema.connections import SearchConnection
from api.search import SearchPage, Wanted
from catalog.filters import ProductFilter
from catalog.index import Variety

First = Annotated[int, strawberry.argument(description="How many, 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="The endCursor of the page before.")]
Only = Annotated[FileFilter | None, strawberry.argument(description="Which products may be found.")]
Without = Annotated[str | None, strawberry.argument(description="Words for what it shall not be.")]
MinScore = Annotated[float | None, strawberry.argument(description="The least score of a hit, -1 to 1.")]
HideDuplicates = Annotated[
    bool, strawberry.argument(description="Show one of several products whose pictures are the same, or nearly so.")
]
PerArticleType = Annotated[int | None, strawberry.argument(description="At most so many of one article type.")]
PerBrand = Annotated[int | None, strawberry.argument(description="At most so many of one brand.")]


async def search_by_text(
    info: Request,
    text: str,
    first: First = 20,
    after: After = None,
    filter: Only = None,
    without: Without = None,
    min_score: MinScore = None,
    hide_duplicates: HideDuplicates = False,
    per_article_type: PerArticleType = None,
    per_brand: PerBrand = None,
) -> SearchConnection:
    """The products whose pictures fit the words."""
    asked = Asked(text=checked_query(text), without=_optional("without", without))
    wanted = _wanted(filter, min_score, hide_duplicates, per_article_type, per_brand)
    return await _searched(info, asked, first, after, wanted)


async def search_by_image(
    info: Request,
    image: str | None = None,
    upload: Upload | None = None,
    text: str | None = None,
    text_weight: float = 0.5,
    first: First = 20,
    after: After = None,
    filter: Only = None,
    without: Without = None,
    min_score: MinScore = None,
    hide_duplicates: HideDuplicates = False,
    per_article_type: PerArticleType = None,
    per_brand: PerBrand = None,
) -> SearchConnection:
    """The products whose pictures look like this one, or fit it and the words."""
    asked = Asked(
        picture=checked_picture(image, upload),
        text=_optional("text", text),
        text_weight=checked_share("textWeight", text_weight),
        without=_optional("without", without),
    )
    wanted = _wanted(filter, min_score, hide_duplicates, per_article_type, per_brand)
    return await _searched(info, asked, first, after, wanted)


async def similar_to(
    info: Request,
    id: int,
    first: First = 20,
    after: After = None,
    filter: Only = None,
    without: Without = None,
    min_score: MinScore = None,
    hide_duplicates: HideDuplicates = False,
    per_article_type: PerArticleType = None,
    per_brand: PerBrand = None,
) -> SearchConnection:
    """The products that are most like one of the catalogue, which is not among them."""
    asked = Asked(product=id, without=_optional("without", without))
    wanted = _wanted(filter, min_score, hide_duplicates, per_article_type, per_brand)
    return await _searched(info, asked, first, after, wanted)


def _optional(name: str, text: str | None) -> str | None:
    return None if text is None else checked_query(text, name=name)


def _wanted(
    filter: FileFilter | None,
    min_score: float | None,
    hide_duplicates: bool,
    per_article_type: int | None,
    per_brand: int | None,
) -> Wanted:
    return Wanted(
        filter.checked() if filter else ProductFilter(),
        None if min_score is None else checked_score(min_score),
        Variety(hide_duplicates, checked_most("perArticleType", per_article_type), checked_most("perBrand", per_brand)),
    )


async def _searched(info: Request, asked: Asked, first: int, after: str | None, wanted: Wanted) -> SearchConnection:
    first = counted(info, first)
    identity = info.context.identity

    def find(services: Services) -> SearchPage:
        services.search_limits.admit(identity.subject if identity else "")
        services.vocabulary.checked(wanted.filter)
        return services.search.find(asked, first=first, after=after, wanted=wanted)

    return SearchConnection.of(await answered(info, find))
