"""What every source yields: rows as they came, nothing judged yet."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from catalog.errors import ColumnsMissing

TEXTS = (
    "id", "gender", "master_category", "sub_category", "article_type", "base_colour", "season", "year", "usage",
    "product_display_name",
)  # fmt: skip
"""The columns of Kaggle's styles.csv, in our spelling."""

REQUIRED = ("id", "article_type", "product_display_name")
"""Without these there is no product, no caption and no stratified split; the others may be missing."""

RAW_SCHEMA = pa.schema(
    [pa.field("row", pa.int64()), *(pa.field(name, pa.string()) for name in TEXTS), pa.field("image", pa.binary())]
)


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of a source. ``row`` counts from 1 in the source; texts are as written, None when empty.

    ``image`` is the encoded file, None when there is none.
    """

    row: int
    id: str | None
    gender: str | None
    master_category: str | None
    sub_category: str | None
    article_type: str | None
    base_colour: str | None
    season: str | None
    year: str | None
    usage: str | None
    product_display_name: str | None
    image: bytes | None


class Source(Protocol):
    """Products from somewhere, one at a time. Iterating again yields the same rows."""

    @property
    def spec(self) -> str:
        """How the source was asked for."""

    @property
    def dataset(self) -> str:
        """Its name in ``fashion_files.dataset``."""

    @property
    def expected(self) -> int | None:
        """How many rows it will yield, if known beforehand."""

    def __iter__(self) -> Iterator[RawRow]: ...


def our_spelling(column: str) -> str:
    """``productDisplayName`` → ``product_display_name``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.strip()).lower()


def checked_columns(columns: Iterable[str], where: str) -> dict[str, str]:
    """Our name → the table's name, for the columns that are there; ColumnsMissing names required ones that are not."""
    found = {our_spelling(column): column for column in columns}
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise ColumnsMissing(
            f"{where} lacks the {'columns' if len(missing) > 1 else 'column'} {', '.join(_kaggle(missing))}.",
            hint=f"Its first line must name {', '.join(_kaggle(TEXTS))}.",
        )
    return {name: found[name] for name in TEXTS if name in found}


def sample(rows: int, limit: int | None, seed: int) -> frozenset[int] | range:
    """Which of ``rows`` row numbers, from 0, to take: all, or a seeded sample of ``limit``."""
    if limit is None or limit >= rows:
        return range(rows)
    return frozenset(random.Random(seed).sample(range(rows), limit))  # noqa: S311


def _kaggle(names: Sequence[str]) -> list[str]:
    """``product_display_name`` → ``productDisplayName``, as styles.csv spells it."""
    return [re.sub(r"_(\w)", lambda match: match[1].upper(), name) for name in names]
