"""Arguments of the GraphQL contract: checked here, so that every field refuses the same things in the same words."""

from __future__ import annotations

import base64
import binascii
from typing import Any, NewType

import strawberry

from api.body import MAX_IMAGE_BYTES
from api.errors import ArgumentInvalid, ImageInvalid
from catalog.errors import FilterInvalid
from catalog.filters import ProductFilter

MAX_LIMIT = 100
MAX_OFFSET = 100_000
MAX_TEXT_CHARS = 300
MAX_INT = 2**31 - 1

Upload = NewType("Upload", bytes)


def _uploaded(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("A picture is uploaded as multipart/form-data.")
    return value


UPLOAD = strawberry.scalar(
    name="Upload",
    description="A picture of a multipart/form-data request (GraphQL multipart request specification).",
    serialize=lambda _: None,
    parse_value=_uploaded,
)


@strawberry.input(description="Only products that have, of each attribute that is given, one of the values.")
class FileFilter:
    """Every attribute that is given must match; a single value may stand for a list of one."""

    master_category: list[str] | None = None
    sub_category: list[str] | None = None
    article_type: list[str] | None = None
    gender: list[str] | None = None
    base_colour: list[str] | None = None
    season: list[str] | None = None
    year: list[str] | None = None
    usage: list[str] | None = None
    brand: list[str] | None = None
    owner: list[str] | None = None
    year_from: int | None = None
    year_to: int | None = None

    def checked(self) -> ProductFilter:
        """The same filter in the catalogue's words.

        Raises:
            ArgumentInvalid: a value is too long, a list is empty or too long, or a year is no number.
        """
        years = _values("year", self.year)
        wanted = ProductFilter(
            master_category=_values("masterCategory", self.master_category),
            sub_category=_values("subCategory", self.sub_category),
            article_type=_values("articleType", self.article_type),
            gender=_values("gender", self.gender),
            base_colour=_values("baseColour", self.base_colour),
            season=_values("season", self.season),
            year=None if years is None else tuple(_year(value) for value in years),
            usage=_values("usage", self.usage),
            brand=_values("brand", self.brand),
            owner=_values("owner", self.owner),
            year_from=self.year_from,
            year_to=self.year_to,
        )
        try:
            wanted.conditions()
        except FilterInvalid as error:
            raise ArgumentInvalid(error.message, hint=error.hint) from None
        return wanted


def checked_page(limit: int, offset: int) -> tuple[int, int]:
    """``limit`` and ``offset``, both within their range."""
    if not 1 <= limit <= MAX_LIMIT:
        raise ArgumentInvalid(f"limit is {limit}.", hint=f"Ask for 1 to {MAX_LIMIT} at a time.")
    if not 0 <= offset <= MAX_OFFSET:
        raise ArgumentInvalid(f"offset is {offset}.", hint=f"It may be 0 to {MAX_OFFSET}; filter for less.")
    return limit, offset


def checked_first(first: int) -> int:
    """How many a page of a connection has."""
    if not 1 <= first <= MAX_LIMIT:
        raise ArgumentInvalid(f"first is {first}.", hint=f"Ask for 1 to {MAX_LIMIT} at a time.")
    return first


def checked_most(name: str, value: int | None) -> int | None:
    """How many of one kind there may be."""
    if value is not None and not 1 <= value <= MAX_LIMIT:
        raise ArgumentInvalid(f"{name} is {value}.", hint=f"Give 1 to {MAX_LIMIT}, or leave it out.")
    return value


def checked_share(name: str, value: float) -> float:
    """A share of a whole."""
    if not 0 <= value <= 1:
        raise ArgumentInvalid(f"{name} is {value}.", hint="Give 0 to 1.")
    return value


def checked_score(value: float) -> float:
    """The least similarity that a hit must have."""
    if not -1 <= value <= 1:
        raise ArgumentInvalid(f"minScore is {value}.", hint="Give -1 to 1, as the scores of the hits are.")
    return value


def checked_query(text: str, *, name: str = "text") -> str:
    """The words to search by, without the space around them."""
    words = " ".join((_text(name, text, allow_newlines=True) or "").split())
    if not words:
        raise ArgumentInvalid(f"{name} is empty.", hint='Describe what you look for, as in "navy blue checked shirt".')
    return words


def checked_picture(image: str | None, upload: bytes | None) -> bytes:
    """The bytes of the one picture that was given, in one way or the other."""
    if (image is None) == (upload is None):
        raise ArgumentInvalid("One picture is needed.", hint="Give `image` as base64, or `upload` as multipart.")
    data = upload if upload is not None else _decoded(image or "")
    if not 0 < len(data) <= MAX_IMAGE_BYTES:
        raise ImageInvalid(f"The picture has {len(data):,} bytes.", hint=f"Send 1 to {MAX_IMAGE_BYTES:,} bytes.")
    return data


def _decoded(text: str) -> bytes:
    # Browsers hand out data URLs; what stands before the comma is theirs.
    payload = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise ImageInvalid("image is not base64.", hint="Send the file's bytes in base64.") from None


def _text(name: str, value: str | None, *, allow_newlines: bool = False) -> str | None:
    if value is None:
        return None
    if len(value) > MAX_TEXT_CHARS:
        raise ArgumentInvalid(f"{name} has {len(value)} characters.", hint=f"Use at most {MAX_TEXT_CHARS}.")
    plain = value.replace("\n", " ").replace("\t", " ") if allow_newlines else value
    if not plain.isprintable():
        raise ArgumentInvalid(f"{name} has characters that cannot be printed.", hint="Send plain text.")
    return value


def _values(name: str, values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(_text(name, value) or "" for value in values)


def _year(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 4):
        raise ArgumentInvalid(f"year is {value[:20]!r}.", hint='Give it as four digits, as in "2012".')
    return int(value)
