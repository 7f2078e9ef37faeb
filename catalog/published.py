"""What a client publishes of its own: the words that both sides share. The photos stay in the client's bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.errors import OfferInvalid
from catalog.product import ATTRIBUTES, Product

PUBLICATION_KEY = "publication.json"
"""In the client's own bucket: what may be published. The client alone writes it."""
PICTURES = "published/"
"""In the client's own bucket: the pictures of what is published, each an object of its own."""
SUFFIXES = ("jpg", "png", "webp")
MAX_TEXT = 500
MAX_REFERENCE = 2**63 - 1
YEARS = range(1900, 2101)
HASH_CHARS = 64
FIELDS = frozenset({"reference", "suffix", *ATTRIBUTES, "year", "product_display_name", "image_sha256"})


@dataclass(frozen=True, slots=True)
class Offer:
    """One product as its client offers it: what is told of it, and nothing of its picture but the hash."""

    reference: int
    """The client's own number of it."""
    suffix: str
    """Of the picture's file."""
    gender: str | None
    master_category: str | None
    sub_category: str | None
    article_type: str | None
    base_colour: str | None
    season: str | None
    usage: str | None
    year: int | None
    product_display_name: str
    image_sha256: str

    @classmethod
    def of(cls, product: Product) -> Offer:
        """What a client says of its product."""
        told = {name: getattr(product, name) for name in ATTRIBUTES}
        return cls(
            reference=product.id,
            suffix=product.filename.rpartition(".")[2],
            **told,
            year=product.year,
            product_display_name=product.product_display_name,
            image_sha256=product.image_sha256,
        )

    @property
    def picture_key(self) -> str:
        """Where its picture is in its client's bucket; another picture has another key."""
        return f"{PICTURES}{self.reference}-{self.image_sha256[:16]}.{self.suffix}"


def checked_offer(told: Any) -> Offer:
    """A stranger's words as an offer.

    They must be as our own cleaning leaves them: a client cleans by the same rules, so what is not so was not sent by
    an honest one.

    Raises:
        OfferInvalid: a field is missing, surplus, of another type, too long, or out of its range.
    """
    if not isinstance(told, Mapping) or set(told) != FIELDS:
        raise OfferInvalid("A product has other fields than a product has.")
    reference = told["reference"]
    if type(reference) is not int or not 0 <= reference <= MAX_REFERENCE:
        raise OfferInvalid(f"A product's number is {str(reference)[:40]!r}.")
    if told["suffix"] not in SUFFIXES:
        raise OfferInvalid(f"The picture of product {reference} is no JPEG, PNG or WebP.")
    year = told["year"]
    if year is not None and (type(year) is not int or year not in YEARS):
        raise OfferInvalid(f"The year of product {reference} is none.")
    digest = told["image_sha256"]
    if not isinstance(digest, str) or len(digest) != HASH_CHARS or not set(digest) <= set("0123456789abcdef"):
        raise OfferInvalid(f"The picture of product {reference} has no SHA-256.")
    for name in (*ATTRIBUTES, "product_display_name"):
        is_absent = told[name] is None and name != "product_display_name"
        if not is_absent and not _is_clean(told[name]):
            raise OfferInvalid(f"The {name} of product {reference} is no clean text of at most {MAX_TEXT} characters.")
    return Offer(**told)


def _is_clean(text: object) -> bool:
    """Whether it is a text that says something, in single spaces, without control characters."""
    return isinstance(text, str) and 0 < len(text) <= MAX_TEXT and text.isprintable() and " ".join(text.split()) == text
