"""Products that curators wrote, embedded into an index version while it is built: a promotion must not drop them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import structlog

from catalog.errors import KeyInvalid, ObjectMissing
from catalog.objects import ObjectStore
from catalog.own_products import Embedded, OwnProducts
from catalog.pictures import own_picture
from catalog.product import ATTRIBUTES, Product
from catalog.store import FashionFile
from core.progress import NoProgress, Progress
from federation.features import FeatureSource
from server.serving import ServedModel
from server.stores import OWNER

AT_ONCE = 256
STAGE = "own products"

log = structlog.get_logger()


def embed_own(
    own: OwnProducts,
    version: int,
    model: ServedModel,
    store: ObjectStore,
    *,
    features_dir: Path,
    progress: Progress | None = None,
) -> int:
    """Put every product that curators wrote and the version lacks into it; returns how many that were.

    The towers run only for pictures that were never encoded before. One whose picture cannot be read is logged and left
    out: it must not keep a model from being promoted. What is written from now on, the API embeds when the version is
    live.
    """
    encoder, progress = model.encoder, progress or NoProgress()
    workers = os.cpu_count() or 1
    source = FeatureSource(encoder.spec, root=features_dir, owner=OWNER, towers=encoder.towers, workers=workers)
    embedded, last = 0, 0
    while rows := own.behind(version, after=last, limit=AT_ONCE):
        features = source.of(_products(rows, store))
        by_id = {row.id: row for row in rows}
        vectors = encoder.embed_images(features.images[0])
        for number, vector in zip(features.ids.tolist(), vectors, strict=True):
            embedded += own.embed(by_id[number], Embedded(version, vector))
        last = rows[-1].id
        progress.update(STAGE, embedded, None)
    if embedded:
        progress.update(STAGE, embedded, embedded)
    return embedded


def _products(rows: Sequence[FashionFile], store: ObjectStore) -> list[Product]:
    found = []
    for row in rows:
        try:
            image = own_picture(store, row.s3_path)
        except (ObjectMissing, KeyInvalid) as error:
            log.error("product cannot be embedded", product=row.id, code=error.code, error=str(error))
            continue
        attributes = {name: getattr(row, name) for name in ATTRIBUTES}
        found.append(
            Product(
                id=row.id, filename=row.filename, **attributes, year=row.year,
                product_display_name=row.product_display_name, image=image, image_sha256=row.image_sha256,
            )
        )  # fmt: skip
    return found
