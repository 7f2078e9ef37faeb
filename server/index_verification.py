"""How well an index version finds what comparing everything finds, asked again whenever somebody wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from catalog.errors import IndexVersionMissing
from catalog.index import IndexStore
from catalog.store import CatalogueStore
from core.progress import Progress
from core.settings import Settings
from server.index_status import fields_of
from server.serving import load_version

QUERIES = 200
STAGE = "verifying"


def verify_index(
    settings: Settings, progress: Progress, *, version: int | None = None, texts: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure an index version (the live one by default) anew, and keep the figures with it.

    ``texts`` are queries that people have asked; without any, titles of products spread over the catalogue ask.

    Raises:
        IndexVersionMissing: there is no such version, or none is live.
        IndexRecallLow: it finds too little of what exact search finds; the figures of before stay.
        ModelMissing, ModelDamaged, TrackingUnreachable: the model that reads the queries cannot be had.
    """
    dsn = settings.required("postgres_dsn")
    with IndexStore(dsn) as index, CatalogueStore(dsn) as catalogue:
        found = index.live() if version is None else next((v for v in index.versions() if v.id == version), None)
        if found is None:
            raise IndexVersionMissing(
                "No index version is live." if version is None else f"Index version {version} does not exist.",
                hint="`tejido index status` lists those that do.",
            )
        progress.update(STAGE, 0, None, "reading queries")
        queries = load_version(settings, found).encoder.encode_texts(list(texts) or _titles(catalogue))
        progress.update(STAGE, 0, None, f"comparing {len(queries)} queries")
        measured = index.verify(found.id, queries)
        progress.update(STAGE, len(queries), len(queries))
    return fields_of(measured)


def _titles(catalogue: CatalogueStore) -> list[str]:
    products = catalogue.stats().products
    places = np.unique(np.linspace(0, max(products - 1, 0), QUERIES).astype(int))
    return [file.product_display_name for place in places.tolist() for file in catalogue.all_files(1, place)]
