"""Small catalogues on disk, in Kaggle's layout."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from PIL import Image

HEADER = (
    "id", "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "year", "usage",
    "productDisplayName",
)  # fmt: skip
MakeCatalogue = Callable[..., Path]


def jpeg() -> bytes:
    """A plain picture."""
    stream = io.BytesIO()
    Image.new("RGB", (60, 80), "navy").save(stream, "JPEG")
    return stream.getvalue()


def cells(number: int) -> dict[str, str]:
    """A faultless row."""
    return dict(
        zip(
            HEADER,
            (str(number), "Men", "Apparel", "Topwear", f"Type {number % 3}", "Blue", "Summer", "2012.0", "Casual",
             f"Shirt {number // 2}"),
            strict=True,
        )
    )  # fmt: skip


@pytest.fixture
def make_catalogue(tmp_path: Path) -> MakeCatalogue:
    """Writes ``rows`` faultless products with ids from 1, or the rows and pictures given."""

    def make(
        rows: int | Sequence[Mapping[str, str]] = 40,
        *,
        images: Mapping[str, bytes] | None = None,
        header: Sequence[str] = HEADER,
        name: str = "shop",
    ) -> Path:
        root = tmp_path / name
        (root / "images").mkdir(parents=True)
        table = [cells(number) for number in range(1, rows + 1)] if isinstance(rows, int) else rows
        with (root / "styles.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, header, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(table)
        for entry in table:
            (root / "images" / f"{entry['id']}.jpg").write_bytes(jpeg()) if images is None else None
        for product_id, data in (images or {}).items():
            (root / "images" / f"{product_id}.jpg").write_bytes(data)
        return root

    return make
