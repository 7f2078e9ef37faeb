"""The coordinator's view of the catalogue: every kept product as features, and the titles that are queries."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.manifest import CatalogueManifest
from catalog.objects import ObjectStore
from catalog.product import SPLITS
from catalog.shards import read_shards
from core.progress import Progress
from federation.encoder import Encoder
from federation.encoding import LazyTowers
from federation.evaluation import Retrieval, evaluate_retrieval
from federation.features import Activations, FeatureSource, ProductFeatures
from federation.spec import ModelSpec
from federation.tensors import Tensors
from server.stores import OWNER


@dataclass(frozen=True)
class Gallery:
    """All kept products of one catalogue version, as the models of one spec's cuts see them."""

    catalogue_version: str
    spec: ModelSpec
    towers: LazyTowers
    products: ProductFeatures
    queries: Mapping[str, NDArray[np.int64]]
    """Split → numbers of its distinct titles, indices into ``products.titles``."""

    def evaluate(self, state: Tensors, split: str) -> Retrieval:
        """Rank the whole gallery for each distinct title of ``split``."""
        encoder = Encoder.load(self.spec, state, towers=self.towers)
        titles = self.queries[split]
        return evaluate_retrieval(
            encoder.embed_texts(Activations(self.products.texts.pick(titles))),
            titles,
            encoder.embed_images(self.products.images[0]),
            self.products.names,
        )


def load_gallery(
    store: ObjectStore,
    manifest: CatalogueManifest,
    spec: ModelSpec,
    *,
    features_dir: Path,
    progress: Progress,
    towers: LazyTowers | None = None,
) -> Gallery:
    """Read and encode the catalogue; what was encoded before comes from the cache, without loading the towers."""
    towers = towers or LazyTowers(spec.preset)
    source = FeatureSource(spec, root=features_dir, owner=OWNER, towers=towers, workers=os.cpu_count() or 1)
    shards = [shard for split in SPLITS for shard in manifest.splits[split]]
    products = source.of(read_shards(store, shards), total=manifest.kept, progress=progress)
    bounds = np.cumsum([0] + [manifest.products(split) for split in SPLITS])
    queries = {
        split: np.unique(products.names[start:end])
        for split, start, end in zip(SPLITS, bounds[:-1], bounds[1:], strict=True)
    }
    return Gallery(manifest.version, spec, towers, products, queries)
