"""The peer of benchmarks/serving.py: a search as a bare route, its vectors known, with no token, limit or schema."""

from __future__ import annotations

import os

import numpy as np
from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse

from catalog.database import Database
from catalog.filters import ProductFilter
from catalog.index import IndexStore
from catalog.store import CatalogueStore

database = Database(os.environ["TEJIDO_POSTGRES_DSN"])
index, files = IndexStore(database), CatalogueStore(database)
live = index.live()
if live is None:
    raise SystemExit("No index is live.")
draws = np.random.default_rng(0).normal(size=(5, live.dimension)).astype(np.float32)
VECTORS = draws / np.linalg.norm(draws, axis=1, keepdims=True)
app = FastAPI()


@app.get("/search")
def search(words: int) -> JSONResponse:
    """Twenty hits with all that is known of them."""
    found = index.search(VECTORS[words], 20, filters=ProductFilter(), version=live.id if live else None)
    rows = {row.id: row for row in files.files([hit.product_id for hit in found.hits])}
    return JSONResponse([{"score": hit.score, "product": jsonable_encoder(rows[hit.product_id])} for hit in found.hits])
