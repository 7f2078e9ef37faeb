"""What operators look at and do, in memory: the registry of models, the trail, and a record of what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.audit import ModelChange
from catalog.errors import DatabaseUnreachable
from core.errors import TejidoError
from core.settings import Settings
from server.errors import TrackingUnreachable
from server.tracking import MODEL, ModelVersion


@dataclass
class FakeModels:
    """Model versions, newest first."""

    all: list[ModelVersion] = field(default_factory=list)
    measured: dict[str, dict[str, float]] = field(default_factory=dict)
    is_down: bool = False
    asked: int = 0

    def versions(self) -> list[ModelVersion]:
        self._try()
        return list(self.all)

    def metrics(self, run_id: str) -> Mapping[str, float]:
        self._try()
        return self.measured.get(run_id, {})

    def add(self, version: str, *aliases: str, recall: float = 0.5) -> None:
        tags = {"judgement": f"version {version} was judged", "run_key": f"run-{version}"}
        hashed, run = f"hash-{version}", f"mlflow-{version}"
        self.all.insert(0, ModelVersion(MODEL, version, run, hashed, "tiny", "v1", aliases, 1_000, tags))
        self.measured[run] = {"test_recall_at_10": recall, "zero_shot_recall_at_10": 0.1}

    def _try(self) -> None:
        self.asked += 1
        if self.is_down:
            raise TrackingUnreachable("MLflow at http://secret-host:5001 did not answer.")


@dataclass
class FakeTrail:
    """Changes of the champion."""

    rows: list[ModelChange] = field(default_factory=list)
    is_down: bool = False

    def changes(self, model_name: str, *, limit: int) -> list[ModelChange]:
        if self.is_down:
            raise DatabaseUnreachable("The database catalog at secret-host:15432 did not answer.")
        return self.rows[:limit]


@dataclass
class FakeDeeds:
    """Promotions and rollbacks that were asked for, each with its actor."""

    done: list[dict[str, Any]] = field(default_factory=list)
    error: TejidoError | None = None

    def promote(self, settings: Settings, *, version: str, override: str | None, remark: str | None) -> dict[str, Any]:
        self._note(settings, version=version, override=override, remark=remark)
        recall = {"challenger": 0.5, "incumbent": 0.4}
        return {"version": version, "promoted": True, "reason": "it finds more", "recall_at_10": recall}

    def roll_back(self, settings: Settings, *, reason: str, to: str | None) -> dict[str, Any]:
        self._note(settings, reason=reason, to=to)
        index = {"state": "made live again", "version": 7, "model_version": "1", "message": "Index 7 answers."}
        return {"version": to or "1", "was": "2", "index": index, "seconds": 0.1}

    def _note(self, settings: Settings, **about: Any) -> None:
        if self.error:
            raise self.error
        self.done.append({"actor": settings.actor, **about})
