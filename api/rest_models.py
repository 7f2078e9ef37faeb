"""What the REST routes take and give, as OpenAPI describes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from api.arguments import LISTS, MAX_LIMIT, MAX_TEXT_CHARS, checked_filter, checked_most, checked_score
from api.live_model import OlderModel
from api.search import SearchPage, Wanted
from catalog import store
from catalog.filters import ProductFilter
from catalog.index import Variety
from catalog.index.left_behind import Kind

Addresses = Callable[[int, str], str | None]
"""A product's id, and where its picture is stored → where a browser can load it; see ImageUrls."""
ANY_OF = "Only products with one of these values; may be given several times."


class FilterParameters(BaseModel):
    """Every attribute that is given must match."""

    model_config = ConfigDict(extra="forbid")

    gender: list[str] | None = Field(default=None, description=ANY_OF, examples=[["Women"]])
    master_category: list[str] | None = Field(default=None, description=ANY_OF)
    sub_category: list[str] | None = Field(default=None, description=ANY_OF)
    article_type: list[str] | None = Field(default=None, description=ANY_OF)
    base_colour: list[str] | None = Field(default=None, description=ANY_OF)
    season: list[str] | None = Field(default=None, description=ANY_OF)
    year: list[str] | None = Field(default=None, description=ANY_OF)
    usage: list[str] | None = Field(default=None, description=ANY_OF)
    brand: list[str] | None = Field(default=None, description=ANY_OF)
    owner: list[str] | None = Field(default=None, description=ANY_OF + " The client that published the product.")
    year_from: int | None = Field(default=None, description="The first year.")
    year_to: int | None = Field(default=None, description="The last year.")

    def wanted(self) -> ProductFilter:
        """The filter in the catalogue's words; raises ArgumentInvalid."""
        return checked_filter({name: getattr(self, name) for name in LISTS}, self.year_from, self.year_to)


class ProductParameters(FilterParameters):
    """Which products, and what of them."""

    image_urls: bool = Field(
        default=False, description="Give each product the address of its picture; of a client's it takes a millisecond."
    )


class FileParameters(ProductParameters):
    """A page of the catalogue."""

    first: int = Field(default=20, description=f"How many: 1 to {MAX_LIMIT}.")
    after: str | None = Field(default=None, description="The `next_cursor` of the page before.")


class SearchParameters(ProductParameters):
    """A page of a search."""

    first: int = Field(default=20, description=f"How many hits: 1 to {MAX_LIMIT}.")
    after: str | None = Field(default=None, description="The `next_cursor` of the page before, of the same search.")
    without: str | None = Field(default=None, description="What it shall not be, as in `striped`.")
    min_score: float | None = Field(default=None, description="The least score of a hit, -1 to 1.")
    hide_duplicates: bool = Field(
        default=False, description="Show one of several products whose pictures are the same, or nearly so."
    )
    per_article_type: int | None = Field(default=None, description="At most so many of one article type.")
    per_brand: int | None = Field(default=None, description="At most so many of one brand.")
    cursors: bool = Field(default=False, description="Give each hit its cursor, a kilobyte or two.")

    def wanted_of_search(self) -> Wanted:
        """What may be found, in the words of the search; raises ArgumentInvalid."""
        kinds = (("per_article_type", self.per_article_type), ("per_brand", self.per_brand))
        return Wanted(
            self.wanted(),
            None if self.min_score is None else checked_score(self.min_score, name="min_score"),
            Variety(self.hide_duplicates, *(checked_most(name, most) for name, most in kinds)),
        )


class TextParameters(SearchParameters):
    """A search by words."""

    text: str = Field(description=f"What to look for, at most {MAX_TEXT_CHARS} characters.", examples=["red dress"])


class ImageParameters(SearchParameters):
    """A search by a picture, or by a picture and words."""

    text: str | None = Field(default=None, description="Words beside the picture.")
    text_weight: float = Field(default=0.5, description="How much the words count, 0 (the picture alone) to 1.")


class Product(BaseModel):
    """One published product: its metadata and where its picture is stored."""

    id: int
    filename: str
    s3_path: str
    image_url: str | None = Field(
        default=None,
        description="Where a browser can load the picture for some minutes, relative to this API where it serves it; "
        "null without `image_urls=true`, and where no browser reaches it.",
    )
    gender: str | None
    master_category: str | None
    sub_category: str | None
    article_type: str | None
    base_colour: str | None
    season: str | None
    year: int | None
    usage: str | None
    product_display_name: str
    brand: str | None
    dataset: str
    owner: str | None = Field(description="The client that published it; null: the platform.")
    origin: str = Field(
        description="catalogue, curator (written by one) or published (by a client that keeps the photo)."
    )
    split: str | None = Field(description="train, val or test; null: neither learned from nor evaluated with.")
    created_at: datetime

    @classmethod
    def of(cls, row: store.FashionFile, addresses: Addresses | None = None) -> Product:
        """The same row, as REST shows it; without addresses nobody asked for them."""
        product = cls.model_validate(row, from_attributes=True)
        if addresses is not None:
            product.image_url = addresses(row.id, row.s3_path)
        return product


class Files(BaseModel):
    """A page of the catalogue, in the order of ids."""

    files: list[Product]
    total: int = Field(description="How many products pass the filter.")
    next_cursor: str | None = Field(description="Give it as `after` for the next page; null: this was the last.")


class Hit(BaseModel):
    """One product that a search found."""

    score: float = Field(description="Cosine similarity to the query, -1 to 1.")
    index_version: int = Field(description="Where it was found: the live index, or one of `beside`.")
    cursor: str | None = Field(description="Give it as `after` for what follows; null without `cursors=true`.")
    product: Product


class BesideIndex(BaseModel):
    """An older index that answers beside the live one, for products that clients have not embedded anew yet."""

    # pydantic keeps names that begin so to itself, and warns.
    model_config = ConfigDict(protected_namespaces=())

    index_version: int
    model_version: str = Field(description="The model that made it; in its own space the query was read once more.")
    products: int = Field(description="How many products only it holds.")
    score_error: float | None = Field(
        description="By how much its scores, brought to the live scale, are off (root mean square); null: not measured."
    )

    @classmethod
    def of(cls, older: OlderModel, kind: Kind) -> BesideIndex:
        """The same, as REST shows it."""
        straggling = older.straggling
        return cls(
            index_version=straggling.version.id,
            model_version=straggling.version.model_version,
            products=straggling.products,
            score_error=straggling.calibration(kind).error,
        )


class SearchAnswer(BaseModel):
    """What a search found, and with what it searched."""

    # As above.
    model_config = ConfigDict(protected_namespaces=())

    hits: list[Hit] = Field(description="Best first.")
    index_version: int = Field(description="The index that was searched.")
    model_version: str = Field(description="The model that made the index and read the query.")
    model_hash: str = Field(description="Content hash of that model.")
    catalogue_version: str = Field(description="The catalogue whose products the index holds.")
    exact: bool = Field(description="Whether every product was compared.")
    route: str = Field(description="The way the search took: exact, graph or partial_graph.")
    recall: float | None = Field(description="Share of the ten nearest that such searches find, as last measured.")
    matching: int = Field(description="About how many products pass the filter; exact for one attribute.")
    truncated: bool = Field(description="Cut short: variety is looked for among the nearest 1,000 only.")
    beside: list[BesideIndex] = Field(description="Older indexes that were searched too.")
    next_cursor: str | None = Field(description="Give it as `after` for the next page; null: this was the last.")

    @classmethod
    def of(cls, page: SearchPage, *, with_cursors: bool = False, addresses: Addresses | None = None) -> SearchAnswer:
        """The same answer, as REST shows it: the one place that knows how a page becomes JSON."""
        index, answer = page.model.index, page.answer
        return cls(
            hits=[
                Hit(
                    score=hit.score,
                    index_version=hit.index_version,
                    cursor=page.cursor(hit.number) if with_cursors else None,
                    product=Product.of(hit.row, addresses),
                )
                for hit in page.hits
            ],
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
            # After the last that was found, also where that is not shown as it has left the catalogue.
            next_cursor=page.cursor(len(answer.hits) - 1) if page.has_next else None,
        )


class FacetValue(BaseModel):
    """One value of an attribute."""

    value: str
    products: int = Field(description="How many products have it, of all that pass the filter.")


class Facet(BaseModel):
    """An attribute with the values that products have, most frequent first."""

    attribute: str = Field(description="As the parameter that filters by it is called.")
    values: list[FacetValue]

    @classmethod
    def of(cls, attribute: str, values: Sequence[store.FacetValue]) -> Facet:
        """The same, as REST shows it."""
        return cls(
            attribute=attribute, values=[FacetValue.model_validate(found, from_attributes=True) for found in values]
        )


class Facets(BaseModel):
    """True counts over all products that pass the filter."""

    facets: list[Facet]


class Refusal(BaseModel):
    """The one shape of every error."""

    code: str
    message: str
    hint: str
