"""An index over drawn vectors, and a slow oracle of what a search in it should find."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from catalog.index import IndexStore

DIMENSION = 32
COLOURS = ("Red", "Blue", "Green")
PUBLISH = """
INSERT INTO fashion_files
    (id, base_colour, article_type, filename, s3_path, product_display_name, dataset, split, image_sha256)
SELECT
    n, (%s::text[])[n %% 3 + 1], 'Shirts', n || '.jpg', 's3://data/x#' || n, 'Product ' || n, 'test', 'train',
    md5(n::text)
FROM generate_series(0, %s) AS n
"""
Vectors = NDArray[np.float32]


def unit_vectors(count: int, *, seed: int = 0, dimension: int = DIMENSION) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


VECTORS = unit_vectors(600)
QUERIES = unit_vectors(20, seed=1)


def build(index: IndexStore, vectors: Vectors = VECTORS, *, model_version: str = "1") -> int:
    version = index.begin("fashion-clip", model_version, "v1", vectors.shape[1], model_hash="ab")
    for start in range(0, len(vectors), 250):
        part = vectors[start : start + 250]
        index.add(version, range(start, start + len(part)), part)
    assert index.finish(version) == len(vectors)
    return version


def publish(index: IndexStore, vectors: Vectors = VECTORS, *, model_version: str = "1") -> int:
    version = build(index, vectors, model_version=model_version)
    index.verify(version, unit_vectors(5, seed=2, dimension=vectors.shape[1]))
    index.swap(version)
    return version


def oracle(query: Vectors, ids: list[int]) -> list[int]:
    """Ids by the inner product of half-precision vectors, nearest first."""
    scores = VECTORS[ids].astype(np.float16).astype(np.float64) @ query.astype(np.float16).astype(np.float64)
    return [ids[place] for place in np.argsort(-scores, kind="stable")]
