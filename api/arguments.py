"""What callers may ask for: checked here, so that GraphQL and REST refuse the same things in the same words."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence

from api.body import MAX_IMAGE_BYTES
from api.errors import ArgumentInvalid, ImageInvalid
from catalog.errors import FilterInvalid
from catalog.filters import ATTRIBUTES, ProductFilter

LISTS = ATTRIBUTES
"""Attributes of which a filter may name several values."""
MAX_LIMIT = 100
MAX_OFFSET = 100_000
MAX_TEXT_CHARS = 300
MIN_REASON_CHARS = 3
MAX_INT = 2**31 - 1
HINTS = {"text": 'Describe what you look for, as in "navy blue checked shirt".', "reason": "Say why."}


def checked_first(first: int, *, name: str = "first") -> int:
    """How many are asked for at a time."""
    if not 1 <= first <= MAX_LIMIT:
        raise ArgumentInvalid(f"{name} is {first}.", hint=f"Ask for 1 to {MAX_LIMIT} at a time.")
    return first


def checked_offset(offset: int) -> int:
    """Where a page begins."""
    if not 0 <= offset <= MAX_OFFSET:
        raise ArgumentInvalid(f"offset is {offset}.", hint=f"It may be 0 to {MAX_OFFSET}; filter for less.")
    return offset


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


def checked_score(value: float, *, name: str = "minScore") -> float:
    """The least similarity that a hit must have."""
    if not -1 <= value <= 1:
        raise ArgumentInvalid(f"{name} is {value}.", hint="Give -1 to 1, as the scores of the hits are.")
    return value


def checked_query(text: str, *, name: str = "text") -> str:
    """The words to search by, without the space around them."""
    words = " ".join((_text(name, text, allow_newlines=True) or "").split())
    if not words:
        raise ArgumentInvalid(f"{name} is empty.", hint=HINTS.get(name, HINTS["text"]))
    return words


def checked_reason(text: str) -> str:
    """Why something is done, for the trail of changes."""
    words = checked_query(text, name="reason")
    if len(words) < MIN_REASON_CHARS:
        raise ArgumentInvalid("reason says nothing.", hint="Others read it later: say why.")
    return words


def checked_picture(image: str | None, upload: bytes | None) -> bytes:
    """The bytes of the one picture that was given, in one way or the other."""
    if (image is None) == (upload is None):
        raise ArgumentInvalid("One picture is needed.", hint="Give `image` as base64, or `upload` as multipart.")
    data = upload if upload is not None else _decoded(image or "")
    if not 0 < len(data) <= MAX_IMAGE_BYTES:
        raise ImageInvalid(f"The picture has {len(data):,} bytes.", hint=f"Send 1 to {MAX_IMAGE_BYTES:,} bytes.")
    return data


def checked_filter(
    lists: Mapping[str, Sequence[str] | None],
    year_from: int | None,
    year_to: int | None,
    *,
    spelled: Callable[[str], str] = str,
) -> ProductFilter:
    """The filter of values by attribute (LISTS), named in errors as ``spelled`` spells them.

    Raises:
        ArgumentInvalid: a value is too long, a list is empty or too long, or a year is no number.
    """
    values = {name: _values(spelled(name), found) for name, found in lists.items()}
    years = values.pop("year", None)
    wanted = ProductFilter(
        **values,
        year=None if years is None else tuple(_year(value) for value in years),
        year_from=year_from,
        year_to=year_to,
    )
    try:
        wanted.conditions()
    except FilterInvalid as error:
        raise ArgumentInvalid(error.message, hint=error.hint) from None
    return wanted


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


def _values(name: str, values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(_text(name, value) or "" for value in values)


def _year(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 4):
        raise ArgumentInvalid(f"year is {value[:20]!r}.", hint='Give it as four digits, as in "2012".')
    return int(value)
