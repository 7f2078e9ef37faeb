"""Small drawn products, enough to exercise every tensor."""

from __future__ import annotations

import hashlib
import io

import pytest
import torch
from PIL import Image

from catalog.product import Product

# Two threads that wait for each other on a busy machine are slower than one.
torch.set_num_threads(1)

COLOURS = ("red", "green", "blue", "black", "yellow", "orange")


def draw(colour: str, size: tuple[int, int] = (24, 32)) -> bytes:
    """A plain picture as JPEG bytes."""
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "JPEG")
    return stream.getvalue()


def product(number: int, colour: str) -> Product:
    """Product ``number``; those of one colour share their name."""
    image = draw(colour, (24, 32 + number % 5))
    return Product(
        id=number,
        filename=f"{number}.jpg",
        gender="Men",
        master_category="Apparel",
        sub_category="Topwear",
        article_type="Tshirts",
        base_colour=colour,
        season="Summer",
        year=2012,
        usage="Casual",
        product_display_name=f"Plain {colour} shirt",
        image=image,
        image_sha256=hashlib.sha256(image).hexdigest(),
    )


@pytest.fixture(scope="session")
def products() -> list[Product]:
    """Thirty products in six colours."""
    return [product(i, COLOURS[i % len(COLOURS)]) for i in range(30)]
