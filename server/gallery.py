"""The coordinator's view of the catalogue: every kept product as features, and the titles that are queries."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from catalog.manifest import CatalogueManifest, holdout_owners
from catalog.objects import ObjectStore
from catalog.product import SPLITS
from catalog.shards import read_shards
from core.progress import Progress
from federation.encoder import Encoder
from federation.encoding import LazyTowers
from federation.errors import ImageError
from federation.evaluation import FirstHits, Retrieval, evaluate_retrieval, first_hits
from federation.features import Activations, FeatureSource, ProductFeatures
from federation.spec import ModelSpec
from federation.tensors import Tensors
from server.holdouts import queries_of_clients
from server.stores import OWNER

HELD_OUT = ("val", "test")


@dataclass(frozen=True)
class Gallery:
    """All kept products of one catalogue version, as the models of one spec's cuts see them."""

    catalogue_version: str
    spec: ModelSpec
    towers: LazyTowers
    products: ProductFeatures
    queries: Mapping[str, NDArray[np.int64]]
    """Split → numbers of its distinct titles, indices into ``products.titles``."""
    clients: Mapping[str, Mapping[str, NDArray[np.int64]]]
    """Split (val, test) → client → positions of its own held-out titles in ``queries``."""

    def recall_by_client(self, retrieval: Retrieval, split: str) -> dict[str, float]:
        """Recall@10 of each client's own held-out titles, over the whole gallery."""
        recalls = retrieval.recall_at_10_by_query
        return {client: float(recalls[rows].mean()) for client, rows in self.clients[split].items() if len(rows)}

    def evaluate(self, state: Tensors, split: str) -> Retrieval:
        """Rank the whole gallery for each distinct title of ``split`` by the model of this state."""
        return self.rank(Encoder.load(self.spec, state, towers=self.towers), split)

    def rank(self, encoder: Encoder, split: str) -> Retrieval:
        """Rank the whole gallery for each distinct title of ``split``."""
        return evaluate_retrieval(*self._embedded(encoder, split))

    def inspect(self, state: Tensors, split: str) -> tuple[Retrieval, FirstHits]:
        """Like `evaluate`, with where each query found its first product."""
        embedded = self._embedded(Encoder.load(self.spec, state, towers=self.towers), split)
        return evaluate_retrieval(*embedded), first_hits(*embedded)

    def _embedded(
        self, encoder: Encoder, split: str
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Queries and their names, gallery and its names."""
        titles = self.queries[split]
        return (
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
    views: int = 1,
    with_templates: bool = False,
) -> Gallery:
    """Read and encode the catalogue; what was encoded before comes from the cache, without loading the towers.

    ``views`` and ``with_templates`` are for who trains on the gallery's train split; queries and ranking need neither.
    """
    towers = towers or LazyTowers(spec.preset)
    source = FeatureSource(spec, root=features_dir, owner=OWNER, towers=towers, workers=os.cpu_count() or 1)
    shards = [shard for split in SPLITS for shard in manifest.splits[split]]
    products = source.of(
        read_shards(store, shards),
        total=manifest.kept,
        views=views,
        with_templates=with_templates,
        progress=progress,
    )
    if products.skipped:
        # Cleaning has decoded every picture: whoever changed them since, a gallery with holes must not be ranked.
        raise ImageError(
            f"{sum(products.skipped.values())} pictures of catalogue {manifest.version} cannot be read any more.",
            hint="Load the catalogue again: `tejido catalog load`.",
        )
    bounds = np.cumsum([0] + [manifest.products(split) for split in SPLITS])
    rows = {split: products.names[a:b] for split, a, b in zip(SPLITS, bounds[:-1], bounds[1:], strict=True)}
    queries = {split: np.unique(names) for split, names in rows.items()}
    clients = {
        split: queries_of_clients(queries[split], holdout_owners(store, manifest, split), rows[split])
        for split in HELD_OUT
    }
    return Gallery(manifest.version, spec, towers, products, queries, clients)
