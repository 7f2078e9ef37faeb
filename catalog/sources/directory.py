"""``dir:PATH``: Kaggle's layout, ``styles.csv`` beside ``images/<id>.jpg``."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from catalog.errors import SourceMissing, SourceUnreadable
from catalog.sources.rows import TEXTS, RawRow, checked_columns, sample

TABLE = "styles.csv"
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Larger files are no product photos; they are passed on as missing rather than read into memory.
MAX_IMAGE_BYTES = 32 * 2**20


class DirectorySource:
    """Rows of a folder's styles.csv with the pictures beside it.

    Kaggle's own file has names with unquoted commas in the last column; what is too many belongs to it.

    Raises:
        SourceMissing: no such folder, no styles.csv in it, or no images/.
        SourceUnreadable: styles.csv is no table.
        ColumnsMissing: styles.csv lacks columns that a product needs.
    """

    def __init__(self, root: Path, *, limit: int | None, seed: int) -> None:
        self.root = root
        self._table = root / TABLE
        if not root.is_dir():
            raise SourceMissing(f"The folder {root} does not exist.", hint="dir:PATH holds styles.csv and images/.")
        if not self._table.is_file():
            raise SourceMissing(f"{root} has no {TABLE}.", hint="dir:PATH holds styles.csv and images/.")
        if not (root / "images").is_dir():
            raise SourceMissing(f"{root} has no folder images.", hint="Pictures are images/<id>.jpg.")
        lines = self._lines()
        self._header = next(lines, [])
        self._columns = checked_columns(self._header, str(self._table))
        rows = sum(1 for _ in lines)
        self._taken = sample(rows, limit, seed)
        self.expected: int | None = len(self._taken)

    @property
    def spec(self) -> str:
        """``dir:`` and the folder."""
        return f"dir:{self.root}"

    @property
    def dataset(self) -> str:
        """The folder's own name."""
        return self.root.resolve().name

    def __iter__(self) -> Iterator[RawRow]:
        lines = self._lines()
        next(lines)
        for number, cells in enumerate(lines):
            if number in self._taken:
                yield self._row(number + 1, cells)

    def _lines(self) -> Iterator[list[str]]:
        """Lines of the table as cells, empty lines left out; the first has the columns' names."""
        try:
            # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
            with self._table.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
                yield from filter(None, csv.reader(stream))
        except (csv.Error, OSError) as error:
            raise SourceUnreadable(
                f"{self._table} cannot be read: {error}.", hint="It is a table of comma-separated values."
            ) from error

    def _row(self, number: int, cells: list[str]) -> RawRow:
        last = len(self._header) - 1
        if len(cells) > last + 1 and self._header[last] == self._columns["product_display_name"]:
            cells = [*cells[:last], ",".join(cells[last:])]
        by_column = dict(zip(self._header, cells, strict=False))
        texts = {name: (by_column.get(self._columns.get(name, "")) or "").strip() or None for name in TEXTS}
        return RawRow(row=number, **texts, image=self._image(texts["id"]))

    def _image(self, product_id: str | None) -> bytes | None:
        # An id is part of a path here, so nothing but digits may be.
        if product_id is None or not product_id.isascii() or not product_id.isdigit():
            return None
        for suffix in SUFFIXES:
            path = self.root / "images" / f"{product_id}{suffix}"
            if path.is_file() and path.stat().st_size <= MAX_IMAGE_BYTES:
                return path.read_bytes()
        return None
