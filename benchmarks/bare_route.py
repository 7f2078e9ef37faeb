"""The peers of benchmarks/serving.py: a search as a bare route, its vectors known, with no limit and no schema.

`bare` has no doors: no token, no request id, no log line, no metrics, no headers. `guarded` has those of the platform's
own API, so that what is left between it and GraphQL is GraphQL.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from fastapi import FastAPI, Request

from api.app import create_app
from api.auth import identity_of
from api.roles import Permission, require
from catalog.database import Database
from catalog.filters import ProductFilter
from catalog.index import IndexStore, IndexVersion
from catalog.store import CatalogueStore, FashionFile

database = Database(os.environ["TEJIDO_POSTGRES_DSN"])
index, files = IndexStore(database), CatalogueStore(database)


@dataclass(frozen=True)
class Hit:
    """As FastAPI and pydantic make JSON of it."""

    score: float
    product: FashionFile


@cache
def known() -> tuple[IndexVersion, np.ndarray[Any, np.dtype[np.float32]]]:
    """The live index, and the vectors of five questions."""
    live = index.live()
    if live is None:
        raise SystemExit("No index is live.")
    draws = np.random.default_rng(0).normal(size=(5, live.dimension)).astype(np.float32)
    return live, draws / np.linalg.norm(draws, axis=1, keepdims=True)


def search(words: int) -> list[Hit]:
    """Twenty hits with all that is known of them."""
    live, vectors = known()
    found = index.search(vectors[words], 20, filters=ProductFilter(), version=live.id)
    rows = {row.id: row for row in files.files([hit.product_id for hit in found.hits])}
    return [Hit(hit.score, rows[hit.product_id]) for hit in found.hits]


def guarded_search(request: Request, words: int) -> list[Hit]:
    """The same for whoever may read."""
    require(identity_of(request), Permission.READ)
    return search(words)


def bare() -> FastAPI:
    """An application that is nothing else."""
    app = FastAPI()
    app.add_api_route("/search", search)
    return app


def guarded() -> FastAPI:
    """The platform's API with this route more."""
    app = create_app()
    app.add_api_route("/search", guarded_search)
    return app
