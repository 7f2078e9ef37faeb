"""The peer of benchmarks/serving.py: a search as a bare route, its vectors known, with no token, limit or schema."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from fastapi import FastAPI

from catalog.database import Database
from catalog.filters import ProductFilter
from catalog.index import IndexStore
from catalog.store import CatalogueStore, FashionFile

database = Database(os.environ["TEJIDO_POSTGRES_DSN"])
index, files = IndexStore(database), CatalogueStore(database)
live = index.live()
if live is None:
    raise SystemExit("No index is live.")
draws = np.random.default_rng(0).normal(size=(5, live.dimension)).astype(np.float32)
VECTORS = draws / np.linalg.norm(draws, axis=1, keepdims=True)
app = FastAPI()


@dataclass(frozen=True)
class Hit:
    """As FastAPI and pydantic make JSON of it."""

    score: float
    product: FashionFile


@app.get("/search")
def search(words: int) -> list[Hit]:
    """Twenty hits with all that is known of them."""
    found = index.search(VECTORS[words], 20, filters=ProductFilter(), version=live.id if live else None)
    rows = {row.id: row for row in files.files([hit.product_id for hit in found.hits])}
    return [Hit(hit.score, rows[hit.product_id]) for hit in found.hits]
