"""Make the challenger the champion, if it has earned it; go back to the one before. See judgement.py for the rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.manifest import live_manifest
from core.progress import NoProgress, Progress
from core.settings import Settings
from federation.encoding import LazyTowers
from federation.evaluation import Retrieval
from federation.model import initial_state
from federation.spec import ModelSpec
from federation.tensors import Tensors
from server.gallery import Gallery, load_gallery
from server.judgement import Judgement, judge
from server.serving import fetch
from server.stores import open_stores, tracking_uri
from server.tracking import CHALLENGER, CHAMPION, PREVIOUS, ModelVersion, Tracker


def promote(
    settings: Settings, *, version: str = CHALLENGER, override: str | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Compare a version with the champion on the live catalogue's test set and move the alias if it has earned it.

    Without a champion the comparison is with the same model before training (zero shot).

    Args:
        settings: where MLflow and the catalogue are.
        version: alias or number.
        override: why an operator promotes a version that was refused; recorded with the version.
        progress: told while the gallery is encoded.

    Returns:
        ``version`` (the champion now, or the challenger that was not promoted), ``alias``, ``promoted``, ``reason``,
        ``interval``, ``clients`` (each one's own held-out recall), and recall@10 of both with gallery and queries.

    Raises:
        ModelMissing: there is no such version.
        ModelDamaged: one of the two was changed after it was registered.
    """
    tracker = Tracker(tracking_uri(settings))
    challenger, champion = tracker.require(version), tracker.find(CHAMPION)
    court = _Court(settings, tracker, progress or NoProgress())
    if champion and champion.version == challenger.version:
        retrieval = court.retrieval(challenger)
        return _answer(challenger, CHAMPION, "it is the champion already", retrieval, retrieval, None, promoted=False)
    ours = court.retrieval(challenger)
    theirs = court.retrieval(champion) if champion else court.zero_shot(challenger)
    judgement = judge(ours, theirs, court.queries_of_clients(challenger))
    reason = judgement.reason(f"champion version {champion.version}" if champion else "zero shot")
    if not judgement.is_earned and not override:
        _record(tracker, challenger, judgement, reason, promoted=False)
        return _answer(challenger, CHALLENGER, reason, ours, theirs, judgement, promoted=False)
    if not judgement.is_earned:
        reason = f"{reason}; promoted all the same: {override}"
    _record(tracker, challenger, judgement, reason, promoted=True)
    if champion:
        tracker.set_alias(PREVIOUS, champion.version)
    tracker.set_alias(CHAMPION, challenger.version)
    return _answer(challenger, CHAMPION, reason, ours, theirs, judgement, promoted=True)


def _record(tracker: Tracker, version: ModelVersion, judgement: Judgement, reason: str, *, promoted: bool) -> None:
    """Leave the judgement with the version: the decision must be there to read when its figures no longer are."""
    tracker.tag_version(version.version, {"judgement": reason, "promoted": str(promoted).lower()})
    whole = {"reason": reason, "promoted": promoted, **judgement.as_dict()}
    tracker.log_json(version.run_id, "judgement.json", whole)


def rollback(settings: Settings) -> dict[str, Any]:
    """Make the previous champion the champion again, and the present one ``previous``; raises ModelMissing."""
    tracker = Tracker(tracking_uri(settings))
    previous, champion = tracker.require(PREVIOUS), tracker.require(CHAMPION)
    tracker.set_alias(CHAMPION, previous.version)
    tracker.set_alias(PREVIOUS, champion.version)
    return {"version": previous.version, "alias": CHAMPION, "was": champion.version}


class _Court:
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


def _answer(
    version: ModelVersion,
    alias: str,
    reason: str,
    ours: Retrieval,
    theirs: Retrieval,
    judgement: Judgement | None,
    *,
    promoted: bool,
) -> dict[str, Any]:
    return {
        "version": version.version,
        "alias": alias,
        "promoted": promoted,
        "reason": reason,
        **(judgement.as_dict() if judgement else {"interval": None, "clients": [], "unjudged": {}}),
        "recall_at_10": {
            "gallery": ours.gallery,
            "queries": ours.queries,
            "challenger": ours.recall_at_10,
            "incumbent": theirs.recall_at_10,
            "champion": ours.recall_at_10 if alias == CHAMPION else theirs.recall_at_10,
        },
    }
