"""Model versions before the same queries: the live catalogue's test split over all its products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from catalog.manifest import live_manifest
from core.progress import Progress
from core.settings import Settings
from federation.encoding import LazyTowers
from federation.evaluation import FirstHits, Retrieval
from federation.model import initial_state
from federation.spec import ModelSpec
from server.gallery import Gallery, load_gallery
from server.models import StoredModel
from server.sealing import Seals
from server.serving import fetch
from server.stores import open_stores
from server.tracking import ModelVersion, Tracker


class Court:
    """The live catalogue's test queries; the gallery of a preset is loaded once."""

    def __init__(self, settings: Settings, tracker: Tracker, progress: Progress) -> None:
        self._settings, self._tracker, self._progress = settings, tracker, progress
        self.store = open_stores(settings).data
        self.manifest = live_manifest(self.store)
        self._galleries: dict[tuple[str, int, int], Gallery] = {}

    def retrieval(self, version: ModelVersion) -> Retrieval:
        """The test result of a version."""
        stored = self._fetch(version)
        return self._gallery(stored.spec).evaluate(stored.state, "test")

    def zero_shot(self, version: ModelVersion) -> Retrieval:
        """The test result of a version's model before any training."""
        spec = self._fetch(version).spec
        return self._gallery(spec).evaluate(initial_state(spec, LazyTowers(spec.preset)), "test")

    def inspect(self, version: ModelVersion, *, is_trained: bool = True) -> tuple[Retrieval, FirstHits]:
        """The test result of a version, or of its model before any training, with where each query found its own."""
        stored = self._fetch(version)
        state = stored.state if is_trained else initial_state(stored.spec, LazyTowers(stored.spec.preset))
        return self._gallery(stored.spec).inspect(state, "test")

    def queries_of_clients(self, version: ModelVersion) -> Mapping[str, NDArray[np.int64]]:
        """Whose own held-out titles are which of the test queries."""
        return self.gallery(version).clients["test"]

    def gallery(self, version: ModelVersion) -> Gallery:
        """All products as a version's preset sees them; in the same order for every version."""
        return self._gallery(self._fetch(version).spec)

    def _fetch(self, version: ModelVersion) -> StoredModel:
        return fetch(self._tracker, version, self._settings.features_dir, Seals.of(self._settings))

    def _gallery(self, spec: ModelSpec) -> Gallery:
        cut = (spec.preset.base_hash, spec.image_cut, spec.text_cut)
        if cut not in self._galleries:
            self._galleries[cut] = load_gallery(
                self.store, self.manifest, spec, features_dir=self._settings.features_dir, progress=self._progress
            )
        # Versions of one cut may differ in what is trained above it.
        return replace(self._galleries[cut], spec=spec)
