"""Cleaning: what is kept is right, and what is not has a reason."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from catalog.cleaning import Reason, Rejected, clean, product_of
from catalog.product import Product
from catalog.sources import RawRow


def jpeg(*, size: tuple[int, int] = (60, 80), format: str = "JPEG") -> bytes:
    """A plain picture."""
    stream = io.BytesIO()
    Image.new("RGB", size, "navy").save(stream, format)
    return stream.getvalue()


ROW = RawRow(
    row=17,
    id="1164",
    gender="Men",
    master_category="Apparel",
    sub_category="Topwear",
    article_type="Tshirts",
    base_colour="NA",
    season=" Fall ",
    year="2012.0",
    usage=None,
    product_display_name=" Nike\tMen  Blue\nJersey ",
    image=jpeg(),
)


def judge(**changes: object) -> Product | Rejected:
    (judged,) = clean([replace(ROW, **changes)])  # type: ignore[arg-type]
    return judged


def reason(**changes: object) -> Reason:
    judged = judge(**changes)
    assert isinstance(judged, Rejected)
    assert judged.row == 17
    assert judged.detail
    return judged.reason


def kept(**changes: object) -> Product:
    judged = judge(**changes)
    assert isinstance(judged, Product), judged
    return judged


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_good_row_becomes_a_tidy_product() -> None:
    product = kept()
    assert (product.id, product.filename, product.year) == (1164, "1164.jpg", 2012)
    assert product.product_display_name == "Nike Men Blue Jersey"
    assert (product.base_colour, product.season, product.usage) == (None, "Fall", None)
    assert product.image == ROW.image
    assert product_of(ROW) == product


@pytest.mark.parametrize(
    ("text", "year"),
    [("2012", 2012), ("2012.0", 2012), ("", None), (None, None), ("12", None), ("MMXII", None), ("99999", None)],
)
def test_a_year_is_a_number_or_nothing(text: str | None, year: int | None) -> None:
    assert kept(year=text).year == year


@pytest.mark.parametrize("bad_id", [None, "", "x", "-1", "0", "1.5", "1e3", "²", "9" * 30])
def test_an_id_is_a_positive_whole_number(bad_id: str | None) -> None:
    assert reason(id=bad_id) is Reason.ID_INVALID


@pytest.mark.parametrize("name", [None, "", "  ", "\0", "nan"])
def test_a_name_says_something(name: str | None) -> None:
    assert reason(product_display_name=name) is Reason.NAME_MISSING


def test_the_first_usable_row_of_an_id_is_kept_and_later_ones_are_duplicates() -> None:
    rows = [replace(ROW, image=None), ROW, replace(ROW, id="1164.0")]
    first, second, third = clean(rows)
    assert isinstance(first, Rejected)
    assert isinstance(second, Product)
    assert isinstance(third, Rejected)
    assert third.reason is Reason.ID_DUPLICATE


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_the_usual_formats_are_taken(format: str) -> None:
    product = kept(image=jpeg(format=format))
    assert product.filename == f"1164.{ {'JPEG': 'jpg', 'PNG': 'png', 'WEBP': 'webp'}[format] }"


def test_a_missing_or_unreadable_picture_is_told_apart() -> None:
    assert reason(image=None) is Reason.IMAGE_MISSING
    assert reason(image=b"") is Reason.IMAGE_MISSING
    assert reason(image=b"<html>404</html>") is Reason.IMAGE_UNREADABLE
    assert reason(image=jpeg(format="GIF")) is Reason.IMAGE_UNREADABLE
    assert reason(image=jpeg(format="TIFF")) is Reason.IMAGE_UNREADABLE


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_picture_that_ends_early_is_truncated(share: float, format: str) -> None:
    noise = io.BytesIO()
    Image.effect_noise((60, 80), 80).save(noise, format)
    data = noise.getvalue()
    assert reason(image=data[: int(len(data) * share)]) is Reason.IMAGE_TRUNCATED


@pytest.mark.parametrize("size", [(1, 1), (7, 80), (60, 7), (20, 400)])
def test_an_absurd_size_is_rejected(size: tuple[int, int]) -> None:
    judged = judge(image=jpeg(size=size))
    assert isinstance(judged, Rejected)
    assert judged.reason is Reason.IMAGE_SIZE
    assert f"{size[0]}×{size[1]} px" in judged.detail


@pytest.mark.parametrize("size", [(6000, 6000), (20000, 20000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_rejected_before_it_is_decoded(size: tuple[int, int]) -> None:
    assert reason(image=bomb(*size)) is Reason.IMAGE_SIZE


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damage_to_a_picture_escapes_as_an_exception(data: st.DataObject) -> None:
    picture = bytearray(jpeg(format=data.draw(st.sampled_from(["JPEG", "PNG", "WEBP"]))))
    for _ in range(data.draw(st.integers(1, 8))):
        picture[data.draw(st.integers(0, len(picture) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(judge(image=bytes(picture)), Product | Rejected)
