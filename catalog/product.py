"""The domain's words: a product, and the attributes by which it is found."""

from __future__ import annotations

import re
from dataclasses import dataclass

ATTRIBUTES = ("gender", "master_category", "sub_category", "article_type", "base_colour", "season", "usage")
"""Text attributes of a product, in the order of Kaggle's styles.csv; each may be None."""

SPLITS = ("train", "val", "test")

_WHOSE = re.compile(r"(.+?)\s+(?:men|man|women|woman|unisex|boys?|girls?|kids?|mens|womens|ladies|infant|baby)\b", re.I)


def brand_of(title: str) -> str | None:
    """What stands before the word for whom a product is, as in ``Peter England Men Blue Jeans``; None without one."""
    found = _WHOSE.match(title.strip())
    return found.group(1) if found else None


@dataclass(frozen=True, slots=True)
class Product:
    """One catalogue entry with its picture, as it passed cleaning.

    ``image`` holds the encoded file (JPEG, PNG or WebP); ``image_sha256`` is the hex digest of exactly these bytes
    and is the key of every feature cache. ``product_display_name`` is the caption: relevance is by name, not by id.
    """

    id: int
    filename: str
    gender: str | None
    master_category: str | None
    sub_category: str | None
    article_type: str | None
    base_colour: str | None
    season: str | None
    year: int | None
    usage: str | None
    product_display_name: str
    image: bytes
    image_sha256: str
