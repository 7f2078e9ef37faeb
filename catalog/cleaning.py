"""From rows as they came to products that can be trusted; what cannot be used is rejected with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from catalog.images import ImageUnusable, check_image
from catalog.product import ATTRIBUTES, Product
from catalog.sources import RawRow

MAX_ID = 2**63 - 1
MAX_TEXT = 500
EMPTY_TITLE = "productDisplayName is empty."
YEARS = range(1900, 2101)
# Kaggle's pandas export writes these for an empty cell.
EMPTY = frozenset({"", "na", "nan", "none", "null"})


class Reason(StrEnum):
    """Why a row is no product."""

    ID_INVALID = "id_invalid"
    ID_DUPLICATE = "id_duplicate"
    NAME_MISSING = "name_missing"
    IMAGE_MISSING = "image_missing"
    IMAGE_UNREADABLE = "image_unreadable"
    IMAGE_TRUNCATED = "image_truncated"
    IMAGE_SIZE = "image_size"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is no product: its number in the source, its id as written, and what is wrong with it."""

    row: int
    id: str
    reason: Reason
    detail: str


def clean(rows: Iterable[RawRow]) -> Iterator[Product | Rejected]:
    """Judge each row in turn; decodes every picture once. Remembers the ids of products, some 60 bytes each."""
    seen: set[int] = set()
    for row in rows:
        judged = _judge(row, seen)
        if isinstance(judged, Product):
            seen.add(judged.id)
        yield judged


def product_of(row: RawRow) -> Product:
    """The product of a row that `clean` has kept; nothing is checked again."""
    image = row.image or b""
    return Product(
        id=_id(row.id) or 0,
        filename=f"{_id(row.id)}.{suffix_of(image)}",
        **{name: plain_text(getattr(row, name)) for name in ATTRIBUTES},
        year=year_of(row.year),
        product_display_name=plain_text(row.product_display_name) or "",
        image=image,
        image_sha256=hashlib.sha256(image).hexdigest(),
    )


def _judge(row: RawRow, seen: set[int]) -> Product | Rejected:
    def rejected(reason: Reason, detail: str) -> Rejected:
        return Rejected(row.row, (row.id or "")[:40], reason, detail)

    number = _id(row.id)
    if number is None:
        return rejected(Reason.ID_INVALID, "no id" if not row.id else f"{row.id[:40]!r} is no positive whole number")
    if number in seen:
        return rejected(Reason.ID_DUPLICATE, f"an earlier row has id {number}")
    if plain_text(row.product_display_name) is None:
        return rejected(Reason.NAME_MISSING, EMPTY_TITLE.rstrip("."))
    try:
        check_image(row.image)
    except ImageUnusable as error:
        return rejected(Reason(error.reason), error.detail)
    return product_of(row)


def _id(text: str | None) -> int | None:
    """``"1164"`` or ``"1164.0"`` → 1164; None for anything that is no positive whole number."""
    digits = (text or "").strip().removesuffix(".0")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(MAX_ID)):
        return None
    number = int(digits)
    return number if 0 < number <= MAX_ID else None


def suffix_of(image: bytes) -> str:
    """The usual suffix of a picture that `check_image` has accepted."""
    return {b"\x89PNG": "png", b"RIFF": "webp"}.get(image[:4], "jpg")


def plain_text(text: str | None) -> str | None:
    """Text with single spaces and no control characters, at most 500 long; None when it says nothing."""
    # PostgreSQL holds no NUL, and a title with a line break would break a log line.
    text = text or ""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    clean_text = " ".join(text.split())[:MAX_TEXT].rstrip()
    return None if clean_text.lower() in EMPTY else clean_text


def year_of(text: str | None) -> int | None:
    """``"2012"`` or ``"2012.0"`` → 2012; None for anything that is no year."""
    digits = (text or "").strip().removesuffix(".0")
    if not (digits.isascii() and digits.isdigit() and len(digits) == 4):
        return None
    return int(digits) if int(digits) in YEARS else None
