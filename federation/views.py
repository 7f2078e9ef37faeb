"""A few fixed treatments of a picture, so that what is cached still varies: flipped, moved closer, shifted.

Colours are left alone: a catalogue's titles name them.
"""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

MIN_ZOOM = 0.85
"""The smallest part of the side that is still seen: product photos have little to spare around them."""


def view_of(image: Image.Image, *, image_sha256: str, view: int) -> Image.Image:
    """Treatment ``view`` of a square picture: 0 is the picture itself, odd ones are mirrored, all others moved closer.

    The same for the same picture and number on every machine.
    """
    if view == 0:
        return image
    digest = hashlib.sha256(f"view/{view}/{image_sha256}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    zoom = generator.uniform(MIN_ZOOM, 1.0)
    side = image.width * zoom
    left, top = generator.uniform(0, image.width - side, size=2)
    treated = image.resize(image.size, Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return treated.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view % 2 else treated
