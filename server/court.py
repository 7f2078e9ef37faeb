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
from federation.evaluation import Retrieval
from federation.model import initial_state
from federation.spec import ModelSpec
from federation.tensors import Tensors
from server.gallery import Gallery, load_gallery
from server.serving import fetch
from server.stores import open_stores
from server.tracking import ModelVersion, Tracker


class Court:
    """One catalogue's test queries; the gallery of a preset is loaded once."""

    def __init__(self, settings: Settings, tracker: Tracker, progress: Progress) -> None:
        self._settings, self._tracker, self._progress = settings, tracker, progress
        self._store = open_stores(settings).data
        self._manifest = live_manifest(self._store)
        self._galleries: dict[tuple[str, int, int], Gallery] = {}

    def retrieval(self, version: ModelVersion) -> Retrieval:
        """The test result of a version."""
        stored = fetch(self._tracker, version, self._settings.features_dir)
        return self._evaluate(stored.spec, stored.state)

    def zero_shot(self, version: ModelVersion) -> Retrieval:
        """The test result of a version's model before any training."""
        spec = fetch(self._tracker, version, self._settings.features_dir).spec
        return self._evaluate(spec, initial_state(spec, LazyTowers(spec.preset)))

    def queries_of_clients(self, version: ModelVersion) -> Mapping[str, NDArray[np.int64]]:
        """Whose own held-out titles are which of the test queries."""
        return self._gallery(fetch(self._tracker, version, self._settings.features_dir).spec).clients["test"]

    def _evaluate(self, spec: ModelSpec, state: Tensors) -> Retrieval:
        return replace(self._gallery(spec), spec=spec).evaluate(state, "test")

    def _gallery(self, spec: ModelSpec) -> Gallery:
        cut = (spec.preset.base_hash, spec.image_cut, spec.text_cut)
        if cut not in self._galleries:
            self._galleries[cut] = load_gallery(
                self._store, self._manifest, spec, features_dir=self._settings.features_dir, progress=self._progress
            )
        return self._galleries[cut]
