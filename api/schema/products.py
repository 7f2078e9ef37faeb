"""What a client's curator may ask for: to write products, to change and delete them, and which are there already."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry import UNSET

from api.arguments import MAX_INT, checked_picture
from api.context import Services
from api.curating import Outcome
from api.errors import ArgumentInvalid, public_error
from api.schema.answering import Request, answered, counted
from api.schema.permissions import client_of, curated, curating, readable
from api.schema.types import FashionFile
from catalog import store
from core.errors import TejidoError

MAX_PRODUCTS = 50
"""In one call."""


@strawberry.input(description="A product as its client describes it.")
class ProductInput:
    """One product to write."""

    reference: str
    product_display_name: str
    image: str
    gender: str | None = None
    master_category: str | None = None
    sub_category: str | None = None
    article_type: str | None = None
    base_colour: str | None = None
    season: str | None = None
    year: int | None = None
    usage: str | None = None
    publish: bool = strawberry.field(
        default=True,
        description="Whether others see it from now on; false keeps it to your client until you publish it.",
    )

    def values(self) -> dict[str, Any]:
        """Columns, without reference and picture."""
        return {name: value for name, value in vars(self).items() if name not in ("reference", "image", "publish")}


@strawberry.input(description="What shall be another; null clears an attribute, what is left out stays.")
class ProductChanges:
    """New values of one product."""

    product_display_name: str | None = UNSET
    image: str | None = UNSET
    gender: str | None = UNSET
    master_category: str | None = UNSET
    sub_category: str | None = UNSET
    article_type: str | None = UNSET
    base_colour: str | None = UNSET
    season: str | None = UNSET
    year: int | None = UNSET
    usage: str | None = UNSET

    def values(self) -> dict[str, Any]:
        """Columns that were given, without the picture."""
        return {name: value for name, value in vars(self).items() if name != "image" and value is not UNSET}

    def picture(self) -> bytes | None:
        """The new one's bytes; None when it was left out."""
        return checked_picture(self.image or "", None) if self.image is not UNSET else None


@strawberry.type(description="Why one product was refused.")
class ProductError:
    """The error's one shape."""

    code: str = readable(description="Stable, as docs/reference/errors.md lists it.")
    message: str = readable(description="What happened.")
    hint: str = readable(description="What to do.")


@strawberry.type(description="What became of one product.")
class ProductResult:
    """One of the answers to a call that writes."""

    index: int = readable(description="Its place in the call, from 0.")
    reference: str | None = readable(description="Your own key of it.")
    state: str = readable(description="created, updated, unchanged, published or refused.")
    product: FashionFile | None = readable(description="As it is now; null when it was refused.")
    error: ProductError | None = readable(description="Why it was refused; null when it was not.")

    @classmethod
    def of(cls, index: int, outcome: Outcome) -> ProductResult:
        """Of a product that was written."""
        row = outcome.row
        return cls(index=index, reference=row.reference, state=outcome.state, product=FashionFile.of(row), error=None)

    @classmethod
    def refused(cls, index: int, reference: str, error: TejidoError) -> ProductResult:
        """Of one that was not."""
        shown = ProductError(code=error.code, message=error.message, hint=error.hint)
        return cls(index=index, reference=reference, state="refused", product=None, error=shown)


@strawberry.type(description="A product of your client.")
class OwnProduct:
    """What tells whether it must be sent again."""

    reference: str = readable(description="Your own key of it.")
    image_sha256: str = readable(description="SHA-256 of its picture's bytes, in hexadecimal.")
    product: FashionFile = readable(description="The product.")

    @classmethod
    def of(cls, row: store.FashionFile) -> OwnProduct:
        """The same row, as its client sees it."""
        return cls(reference=row.reference or "", image_sha256=row.image_sha256, product=FashionFile.of(row))


async def create_products(info: Request, products: list[ProductInput]) -> list[ProductResult]:
    """Write some products; one that cannot be used is refused alone."""
    client = client_of(info)
    _check_number("products", len(products))

    def write(services: Services) -> list[ProductResult]:
        return [_written(services, client, index, product) for index, product in enumerate(products)]

    return await answered(info, write)


async def update_product(info: Request, id: int, changes: ProductChanges) -> ProductResult:
    """Change one product."""
    client = client_of(info)
    return ProductResult.of(
        0, await answered(info, lambda s: s.curating.change(client, id, changes.values(), changes.picture()))
    )


async def delete_product(info: Request, id: int) -> FashionFile:
    """Delete one product; the answer is what it was."""
    client = client_of(info)
    return FashionFile.of(await answered(info, lambda services: services.curating.delete(client, id)))


async def publish_product(info: Request, id: int) -> ProductResult:
    """Publish one product."""
    client = client_of(info)
    return ProductResult.of(0, await answered(info, lambda services: services.curating.publish(client, id)))


async def unpublished_products(info: Request, first: int = 20, after: int = 0) -> list[OwnProduct]:
    """A page of what the client has not published."""
    client = client_of(info)
    first, after = counted(info, first), min(max(after, 0), MAX_INT)
    rows = await answered(info, lambda services: services.curating.unpublished.page(client, after=after, limit=first))
    return [OwnProduct.of(row) for row in rows]


async def own_products(info: Request, references: list[str]) -> list[OwnProduct]:
    """Those of the references that are there already."""
    client = client_of(info)
    _check_number("references", len(references))
    known = await answered(info, lambda services: services.curating.known(client, references))
    return [OwnProduct.of(row) for row in known]


def _written(services: Services, client: str, index: int, product: ProductInput) -> ProductResult:
    try:
        picture = checked_picture(product.image, None)
        values, publish = product.values(), product.publish
        outcome = services.curating.write(client, product.reference, values, picture, publish=publish)
        return ProductResult.of(index, outcome)
    except TejidoError as error:
        shown = public_error(error)
        services.metrics.error(shown.code)
        if shown is not error:
            # A part behind the API fails: so would the others, and the caller shall send them all again.
            raise
        return ProductResult.refused(index, product.reference[:200], shown)


def _check_number(name: str, number: int) -> None:
    if not 1 <= number <= MAX_PRODUCTS:
        raise ArgumentInvalid(f"{number} {name} were given.", hint=f"Give 1 to {MAX_PRODUCTS} at a time.")


@strawberry.type
class ProductMutations:
    """The part of the mutations that is the curators'."""

    create_products: list[ProductResult] = curating(
        resolver=create_products,
        description=f"Write up to {MAX_PRODUCTS} products of your client, each with its picture in base64. One whose "
        "reference is known is replaced, or left where nothing differs; one that cannot be used is refused alone.",
    )
    update_product: ProductResult = curating(
        resolver=update_product, description="Change one of your client's products, by its `id`."
    )
    publish_product: ProductResult = curating(
        resolver=publish_product,
        description="Show others one of your client's products that is not published yet, by its `id`.",
    )
    delete_product: FashionFile = curating(
        resolver=delete_product, description="Delete one of your client's products, by its `id`."
    )


UNPUBLISHED_PRODUCTS = curated(
    resolver=unpublished_products,
    description="What your client has written and not published, in the order of ids; `after` is the last id of the "
    "page before. Nobody else sees any of it.",
)
OWN_PRODUCTS = curated(
    resolver=own_products, description="Which of your references are there already, with the hash of their pictures."
)
