"""Curators' products on their way into an index that is built."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from catalog.objects import DirectoryStore
from catalog.store import FashionFile
from server.own_products import _products


def test_a_picture_that_is_gone_is_left_out_and_holds_up_no_promotion(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "data")
    store.put("own/aurora/1.jpg", b"picture")
    paths = ["s3://data/own/aurora/1.jpg", "s3://data/own/aurora/2.jpg", "s3://another/own/aurora/1.jpg"]
    rows = [
        FashionFile(
            id=10**9 + number, filename="1.jpg", s3_path=path, gender="Women", master_category=None, sub_category=None,
            article_type="Tops", base_colour=None, season=None, year=2026, usage=None, product_display_name="Top",
            dataset="curator", owner="aurora", split=None, image_sha256="hash", created_at=datetime.now(UTC),
            origin="curator", reference=str(number),
        )
        for number, path in enumerate(paths)
    ]  # fmt: skip
    (only,) = _products(rows, store)
    assert (only.id, only.image, only.image_sha256, only.article_type) == (10**9, b"picture", "hash", "Tops")
