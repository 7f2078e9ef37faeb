"""Whether the challenger becomes the champion: only if it is better beyond chance on the same queries and gallery."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.manifest import live_manifest
from core.progress import NoProgress, Progress
from core.settings import Settings
from federation.encoding import LazyTowers
from federation.errors import ShapeError
from federation.evaluation import Retrieval
from federation.model import initial_state
from federation.spec import ModelSpec
from federation.tensors import Tensors
from server.gallery import Gallery, load_gallery
from server.serving import fetch
from server.stores import open_stores, tracking_uri
from server.tracking import CHALLENGER, CHAMPION, PREVIOUS, ModelVersion, Tracker

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 20260101


@dataclass(frozen=True)
class Comparison:
    """Mean difference of per-query recall@10, challenger minus incumbent, and its bootstrap interval."""

    difference: float
    lower: float
    upper: float

    @property
    def is_better(self) -> bool:
        """The whole interval lies above zero."""
        return self.lower > 0


def paired_bootstrap(
    challenger: NDArray[np.float64], incumbent: NDArray[np.float64], *, seed: int = SEED
) -> Comparison:
    """Resample queries, the same for both models: what is easy for both must not look like a gain.

    Args:
        challenger: (Q,) recall@10 of each query.
        incumbent: (Q,) of the same queries in the same order.
        seed: of the resampling.
    """
    if challenger.shape != incumbent.shape or not len(challenger):
        raise ShapeError(f"{challenger.shape} and {incumbent.shape} cannot be paired.")
    differences = challenger - incumbent
    generator = np.random.default_rng(seed)
    # Counting how often each query was drawn is the same as drawing it, in a matrix that fits.
    share = np.full(len(differences), 1 / len(differences))
    means = np.array([generator.multinomial(len(differences), share) @ differences for _ in range(RESAMPLES)])
    lower, upper = np.quantile(means / len(differences), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Comparison(float(differences.mean()), float(lower), float(upper))


def promote(settings: Settings, *, version: str = CHALLENGER, progress: Progress | None = None) -> dict[str, Any]:
    """Compare a version with the champion on the live catalogue's test set and move the alias if it is better.

    Without a champion the comparison is with the same preset before training (zero shot).

    Returns:
        ``version`` (the champion now, or the challenger that was not promoted), ``alias``, ``promoted``, ``reason``,
        ``interval``, and recall@10 of both with gallery and queries.

    Raises:
        ModelMissing: there is no such version.
        ModelDamaged: one of the two was changed after it was registered.
    """
    tracker = Tracker(tracking_uri(settings))
    challenger, champion = tracker.require(version), tracker.find(CHAMPION)
    judge = _Judge(settings, tracker, progress or NoProgress())
    if champion and champion.version == challenger.version:
        retrieval = judge.retrieval(challenger)
        return _answer(challenger, CHAMPION, "it is the champion already", retrieval, retrieval, None, promoted=False)
    ours = judge.retrieval(challenger)
    theirs = judge.retrieval(champion) if champion else judge.zero_shot(challenger)
    comparison = paired_bootstrap(ours.recall_at_10_by_query, theirs.recall_at_10_by_query)
    against = f"champion version {champion.version}" if champion else "zero shot"
    if not comparison.is_better:
        reason = f"not better than {against} beyond chance"
        return _answer(challenger, CHALLENGER, reason, ours, theirs, comparison, promoted=False)
    if champion:
        tracker.set_alias(PREVIOUS, champion.version)
    tracker.set_alias(CHAMPION, challenger.version)
    return _answer(challenger, CHAMPION, f"better than {against}", ours, theirs, comparison, promoted=True)


def rollback(settings: Settings) -> dict[str, Any]:
    """Make the previous champion the champion again, and the present one ``previous``; raises ModelMissing."""
    tracker = Tracker(tracking_uri(settings))
    previous, champion = tracker.require(PREVIOUS), tracker.require(CHAMPION)
    tracker.set_alias(CHAMPION, previous.version)
    tracker.set_alias(PREVIOUS, champion.version)
    return {"version": previous.version, "alias": CHAMPION, "was": champion.version}


class _Judge:
    """Evaluates versions on the live catalogue's test queries; the gallery of a preset is loaded once."""

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

    def _evaluate(self, spec: ModelSpec, state: Tensors) -> Retrieval:
        cut = (spec.preset.base_hash, spec.image_cut, spec.text_cut)
        if cut not in self._galleries:
            self._galleries[cut] = load_gallery(
                self._store, self._manifest, spec, features_dir=self._settings.features_dir, progress=self._progress
            )
        return replace(self._galleries[cut], spec=spec).evaluate(state, "test")


def _answer(
    version: ModelVersion,
    alias: str,
    reason: str,
    ours: Retrieval,
    theirs: Retrieval,
    comparison: Comparison | None,
    *,
    promoted: bool,
) -> dict[str, Any]:
    return {
        "version": version.version,
        "alias": alias,
        "promoted": promoted,
        "reason": reason,
        "interval": [comparison.lower, comparison.upper] if comparison else None,
        "recall_at_10": {
            "gallery": ours.gallery,
            "queries": ours.queries,
            "challenger": ours.recall_at_10,
            "incumbent": theirs.recall_at_10,
            "champion": ours.recall_at_10 if alias == CHAMPION else theirs.recall_at_10,
        },
    }
