"""The types of the GraphQL contract that stand for rows: a file of the catalogue, and counts of values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

import strawberry
from anyio.to_thread import run_sync
from strawberry.types import Info
from strawberry.utils.str_converters import to_camel_case

from api.context import QueryContext
from api.schema.permissions import readable
from catalog import store


async def image_url(root: FashionFile, info: Info[QueryContext, None]) -> str | None:
    """Signed when it is asked for, after the field's permission was checked."""
    urls = info.context.services.image_urls
    if urls.takes_time(root.s3_path):
        return await run_sync(urls.of, root.id, root.s3_path)
    return urls.of(root.id, root.s3_path)


async def written_at(root: FashionFile) -> datetime:
    """By the name that it had first."""
    return root.created_at


@strawberry.type(description="One published product: its metadata and where its picture is stored.")
class FashionFile:
    """A row of ``fashion_files``."""

    id: int = readable(description="The product's number.")
    filename: str = readable(description="Name of the picture's file.")
    s3_path: str = readable(description="Where the picture is stored.")
    image_url: str | None = readable(
        resolver=image_url,
        description="Where a browser can load the picture for some minutes; relative to this API where it serves it, "
        "null where no browser reaches it.",
    )
    gender: str | None = readable(description="Men, Women, Boys, Girls or Unisex.")
    master_category: str | None = readable(description="Apparel, Footwear, Accessories …")
    sub_category: str | None = readable(description="Topwear, Shoes, Bags …")
    article_type: str | None = readable(description="Tshirts, Casual Shoes, Handbags …")
    base_colour: str | None = readable(description="The main colour.")
    season: str | None = readable(description="Summer, Fall, Winter or Spring.")
    year: int | None = readable(description="The collection's year.")
    usage: str | None = readable(description="Casual, Sports, Formal …")
    brand: str | None = readable(description="Who makes it, as its title says; null where that is not told.")
    product_display_name: str = readable(description="The title by which the product is known.")
    dataset: str = readable(description="The data set that it came with.")
    owner: str | None = readable(description="The client whose product it is; null: the platform's.")
    origin: str = readable(
        description="catalogue, curator (written by one) or published (by a client; it keeps the photo)."
    )
    split: str | None = readable(description="train, val or test.")
    created_at: datetime = readable(description="When the row was written.")
    created_at_snake: datetime = readable(name="created_at", resolver=written_at, description="The same as createdAt.")

    @classmethod
    def of(cls, row: store.FashionFile) -> FashionFile:
        """The same row: it has an attribute for each field without a resolver, which is all that GraphQL asks for."""
        return cast("FashionFile", row)


@strawberry.type(description="How many products have one value of an attribute.")
class FacetValue:
    """One value."""

    value: str = readable(description="The value, as it can be asked for.")
    products: int = readable(description="How many products have it, of all that pass the filter.")


@strawberry.type(description="An attribute with the values that products have.")
class Facet:
    """One attribute."""

    attribute: str = readable(description="Name of the attribute, as in FileFilter.")
    values: list[FacetValue] = readable(description="Most frequent first.")

    @classmethod
    def of(cls, attribute: str, values: Sequence[store.FacetValue]) -> Facet:
        """The same, as GraphQL shows it."""
        return cls(
            attribute=to_camel_case(attribute),
            values=[FacetValue(value=found.value, products=found.products) for found in values],
        )
