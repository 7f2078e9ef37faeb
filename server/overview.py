"""What operators look at: runs, model versions, index versions, changes of the champion. Quick enough to be polled.

Runs are read from the bucket of checkpoints and never from MLflow, which may be slow or away while a run goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from catalog.audit import ModelChange
from catalog.index import IndexVersion
from catalog.objects import ObjectStore
from server.checkpoints import RunFolder
from server.remembered import Remembered
from server.run_list import RunList
from server.run_views import RunView, view
from server.tracking.names import CHAMPION, MODEL

if TYPE_CHECKING:
    from server.tracking import ModelVersion

RUNS_S = 1.0
MODELS_S = 2.0
MAX_KEPT = 200
"""Completed runs that are not read again."""


class Registry(Protocol):
    """What is needed of `server.tracking.Tracker`."""

    def versions(self) -> list[ModelVersion]:
        """All versions, newest first."""

    def metrics(self, run_id: str) -> Mapping[str, float]:
        """The last value of each of a run's metrics."""


class Indexes(Protocol):
    """What is needed of `catalog.index.IndexStore`."""

    def versions(self) -> list[IndexVersion]:
        """All versions, newest first."""


class Changes(Protocol):
    """What is needed of `catalog.audit.AuditTrail`."""

    def changes(self, model_name: str, *, limit: int) -> list[ModelChange]:
        """The last rows about a model, newest first."""


@dataclass(frozen=True)
class ModelView:
    """A registered version, with what it found on test."""

    model: ModelVersion
    recall_at_10: float | None
    zero_shot_recall_at_10: float | None
    """The same before any training."""

    @property
    def is_champion(self) -> bool:
        """Whether searches shall be answered by it."""
        return CHAMPION in self.model.aliases


class Overview:
    """Reads what there is; safe to share between threads.

    Args:
        store: opens the bucket of checkpoints; asked once, at the first look.
        registry: opens the registry of models; likewise, as MLflow takes seconds to import.
        indexes: the index versions.
        trail: the changes of the champion.
    """

    def __init__(
        self, *, store: Callable[[], ObjectStore], registry: Callable[[], Registry], indexes: Indexes, trail: Changes
    ) -> None:
        self._open_store, self._open_registry = store, registry
        self._indexes, self._trail = indexes, trail
        self._registry: Registry | None = None
        self._store: ObjectStore | None = None
        self._list: RunList | None = None
        self._reading = threading.Lock()
        self._completed: dict[str, RunView] = {}
        self._measured: dict[str, Mapping[str, float]] = {}
        self._newest = Remembered(self._read_list, for_s=RUNS_S)
        self._models = Remembered(self._read_models, for_s=MODELS_S)

    def runs(self, first: int) -> list[RunView]:
        """The runs that said something last, newest first.

        Raises:
            StorageUnreachable: the bucket of checkpoints does not answer.
        """
        return [found for key in self._newest()[:first] if (found := self.run(key))]

    def run(self, key: str) -> RunView | None:
        """One run, or None."""
        with self._reading:
            if key not in self._completed:
                found = view(RunFolder(self._checkpoints(), key), datetime.now(UTC))
                if found is None or not found.result:
                    return found
                if len(self._completed) >= MAX_KEPT:
                    self._completed.pop(next(iter(self._completed)))
                self._completed[key] = found
            return self._completed[key]

    def models(self) -> list[ModelView]:
        """All model versions, newest first.

        Raises:
            TrackingUnreachable: MLflow does not answer.
        """
        return self._models()

    def indexes(self) -> list[IndexVersion]:
        """All index versions, newest first; DatabaseUnreachable when they cannot be read."""
        return self._indexes.versions()

    def changes(self, first: int) -> list[ModelChange]:
        """Promotions, refusals and rollbacks, newest first; DatabaseUnreachable when they cannot be read."""
        return self._trail.changes(MODEL, limit=first)

    def forget_models(self) -> None:
        """Look anew: an alias was moved."""
        self._models.forget()

    def _checkpoints(self) -> ObjectStore:
        self._store = self._store or self._open_store()
        return self._store

    def _read_list(self) -> list[str]:
        with self._reading:
            self._list = self._list or RunList(self._checkpoints())
            self._list.statuses()
            return self._list.newest_first()

    def _read_models(self) -> list[ModelView]:
        registry = self._registry = self._registry or self._open_registry()
        return [self._model(registry, version) for version in registry.versions()]

    def _model(self, registry: Registry, version: ModelVersion) -> ModelView:
        # What a version found on test is logged once, when it is registered.
        metrics = self._measured.get(version.run_id) or registry.metrics(version.run_id)
        if "test_recall_at_10" in metrics:
            self._measured[version.run_id] = metrics
        return ModelView(version, metrics.get("test_recall_at_10"), metrics.get("zero_shot_recall_at_10"))
