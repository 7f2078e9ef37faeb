"""The types of the GraphQL contract: a file of the catalogue, and the answer to a search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import strawberry
from anyio.to_thread import run_sync
from strawberry.types import Info
from strawberry.utils.str_converters import to_camel_case

from api.context import QueryContext
from api.schema.permissions import readable
from api.search import SearchPage
from catalog import store
from catalog.filters import ProductFilter


@strawberry.type(description="One published product: its metadata and where its picture is stored.")
class FashionFile:
    """A row of ``fashion_files``."""

    id: int = readable(description="The product's number.")
    filename: str = readable(description="Name of the picture's file.")
    s3_path: str = readable(description="Where the picture is stored.")
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
    created_at_snake: datetime = readable(name="created_at", description="The same as createdAt.")

    @classmethod
    def of(cls, row: store.FashionFile) -> FashionFile:
        """The same row, as GraphQL shows it."""
        return cls(
            id=row.id,
            filename=row.filename,
            s3_path=row.s3_path,
            gender=row.gender,
            master_category=row.master_category,
            sub_category=row.sub_category,
            article_type=row.article_type,
            base_colour=row.base_colour,
            season=row.season,
            year=row.year,
            usage=row.usage,
            brand=row.brand,
            product_display_name=row.product_display_name,
            dataset=row.dataset,
            owner=row.owner,
            origin=row.origin,
            split=row.split,
            created_at=row.created_at,
            created_at_snake=row.created_at,
        )


@strawberry.type(description="One product that a search found.")
class SearchHit:
    """A product with its score."""

    score: float = readable(description="Cosine similarity to the query, from -1 to 1.")
    product: FashionFile = readable(description="The product.")


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


async def total_count(root: SearchAnswer, info: Info[QueryContext, None]) -> int:
    """Counted when it is asked for."""
    return await run_sync(info.context.services.files.count, root.wanted)


async def facets_of_answer(root: SearchAnswer, info: Info[QueryContext, None]) -> list[Facet]:
    """Counted when they are asked for."""
    found = await run_sync(info.context.services.files.facets, root.wanted)
    return [Facet.of(attribute, values) for attribute, values in found.items()]


@strawberry.type(description="What a search found, and with what it searched.")
class SearchAnswer:
    """One page of a search."""

    hits: list[SearchHit] = readable(description="Best first.")
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
        description="Whether the search was cut short: there are more products, which cannot be paged to."
    )
    total_count: int = readable(
        resolver=total_count, description="Exactly how many products pass the filter: all of them have a rank."
    )
    facets: list[Facet] = readable(
        resolver=facets_of_answer, description="How many products have each value, of all that pass the filter."
    )
    wanted: strawberry.Private[ProductFilter]
    next_cursor: str | None = readable(description="Give it as `after` for the next page; null: this was the last.")

    @classmethod
    def of(cls, answer: SearchPage) -> SearchAnswer:
        """The same answer, as GraphQL shows it."""
        return cls(
            hits=[SearchHit(score=score, product=FashionFile.of(row)) for score, row in answer.hits],
            index_version=answer.index_version,
            model_version=answer.model_version,
            model_hash=answer.model_hash,
            catalogue_version=answer.catalogue_version,
            exact=answer.exact,
            route=answer.route,
            recall=answer.recall,
            matching=answer.matching,
            truncated=answer.truncated,
            next_cursor=answer.next_cursor,
            wanted=answer.wanted,
        )
