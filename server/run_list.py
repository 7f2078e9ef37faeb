"""All federated runs by the last word of each, which lies in its folder in the bucket of checkpoints."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from catalog.objects import ObjectStore
from server.checkpoints import RunFolder

RunState = Literal["running", "silent", "failed", "completed"]
STATES: tuple[RunState, ...] = get_args(RunState)
SILENT_AFTER_S = 3600.0
"""A run that has said nothing for so long was most likely killed: it speaks with each reply, and between deadlines."""
STATUS = "/status.json"
Status = dict[str, Any]


class RunList:
    """Reads the statuses. One that says completed is final, and is not read again. For one thread at a time."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._read: dict[str, Status] = {}

    def statuses(self) -> dict[str, Status]:
        """Each run's stage, and when it said so; there may be thousands, so nothing else is kept."""
        keys = [key.removesuffix(STATUS) for key in self._store.list("") if key.endswith(STATUS)]
        completed = {key: status for key, status in self._read.items() if status.get("stage") == "completed"}
        self._read = {key: completed.get(key) or _brief(RunFolder(self._store, key).status() or {}) for key in keys}
        return self._read

    def newest_first(self) -> list[str]:
        """Keys of the runs as `statuses` found them last, that which spoke last first."""
        return sorted(self._read, key=lambda key: str(self._read[key].get("at", "")), reverse=True)


def state_of(status: Status, now: datetime) -> RunState:
    """What a run's last word says of it by now."""
    stage = status.get("stage")
    if stage in ("completed", "failed"):
        return "completed" if stage == "completed" else "failed"
    told = status.get("at")
    if not told or now.timestamp() - datetime.fromisoformat(told).timestamp() > SILENT_AFTER_S:
        return "silent"
    return "running"


def _brief(status: Status) -> Status:
    return {name: status[name] for name in ("stage", "at") if name in status}
