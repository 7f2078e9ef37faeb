"""Small pictures of a few products, out of the catalogue's own shards."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import accumulate

from PIL import Image, UnidentifiedImageError

from catalog.images import FORMATS
from catalog.objects import ObjectStore
from catalog.shards import Shard, read_rows

SIDE = 72
QUALITY = 70


def thumbnails(
    store: ObjectStore, shards: Sequence[Shard], ids: Sequence[int], wanted: Sequence[int]
) -> dict[int, str]:
    """Product → ``data:`` URI of its picture as a small JPEG; one that cannot be read is left out.

    Args:
        store: holds the shards.
        shards: of all products.
        ids: of all products, in the order of the shards: only shards with a wanted product are fetched.
        wanted: products to show.
    """
    left, found = set(wanted), {}
    bounds = [0, *accumulate(shard.rows for shard in shards)]
    for shard, start, end in zip(shards, bounds[:-1], bounds[1:], strict=True):
        here = left & set(ids[start:end])
        if not here:
            continue
        for row in read_rows(store, [shard], columns=["id", "image"]):
            if row["id"] in here and (uri := _thumbnail(row["image"])):
                found[row["id"]] = uri
    return found


def _thumbnail(image: bytes) -> str:
    try:
        with Image.open(io.BytesIO(image), formats=FORMATS) as picture:
            small = picture.convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError):
        return ""
    small.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
