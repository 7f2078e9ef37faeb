"""The drawn catalogue: the same for the same seed, described by its names, usable as it is."""

from __future__ import annotations

import io
import random
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from catalog.cleaning import clean
from catalog.product import Product
from catalog.sources import open_source
from catalog.sources.palette import COLOURS
from catalog.sources.synthetic import KINDS, Design, Kind, SyntheticSource, draw


def test_the_same_seed_draws_the_same_bytes_however_many_there_are() -> None:
    assert list(SyntheticSource(10, seed=3)) == list(SyntheticSource(20, seed=3))[:10]
    assert list(SyntheticSource(10, seed=3)) != list(SyntheticSource(10, seed=4))


def test_every_product_passes_cleaning() -> None:
    products = list(clean(SyntheticSource(120)))
    assert all(isinstance(product, Product) for product in products)


def test_1500_products_are_drawn_by_default() -> None:
    assert open_source("synthetic").expected == 1500
    assert open_source("synthetic", limit=7).expected == 7


def test_names_describe_the_product_and_some_repeat() -> None:
    source = SyntheticSource(1500)
    designs = [source.design(number) for number in range(1500)]
    for design in designs:
        assert design.colour in design.name
        assert design.kind.noun in design.name
        assert design.detail in design.name
        assert (design.pattern in design.name) == (design.pattern != "Solid")
    assert {design.kind.noun for design in designs} == {kind.noun for kind in KINDS}
    repeated = sum(count for count in Counter(design.name for design in designs).values() if count > 1)
    assert 0.2 < repeated / 1500 < 0.7


def test_products_of_one_name_are_not_the_same_picture() -> None:
    images: dict[str | None, set[bytes | None]] = {}
    rows = list(SyntheticSource(300))
    for row in rows:
        images.setdefault(row.product_display_name, set()).add(row.image)
    assert len(images) < 300
    assert sum(map(len, images.values())) == 300


@pytest.mark.parametrize("colour", ["Red", "Teal"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.noun))
def test_a_plain_product_shows_the_colour_that_its_name_says(kind: Kind, colour: str) -> None:
    design = Design(kind, "Alba", kind.genders[0], colour, "Solid", kind.details[0])
    pixels = np.asarray(Image.open(io.BytesIO(draw(design, random.Random(0)))), dtype=int).reshape(-1, 3)
    drawn = pixels[pixels.min(axis=1) < 225]
    distances = np.abs(drawn[:, None, :] - np.array(list(COLOURS.values()))).sum(axis=2)  # (pixels, colours)
    nearest = Counter(list(COLOURS)[place] for place in distances.argmin(axis=1))
    assert 0.05 < len(drawn) / len(pixels) < 0.8
    assert nearest[colour] > 0.25 * len(drawn)
