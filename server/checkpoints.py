"""A run's folder in ``s3://checkpoints``: a state per round, what is going on now, and the result.

    <run>/round-0001.safetensors    the global heads after that round
    <run>/state.json                the last complete round and its SHA-256; written last: the commit marker
    <run>/status.json               for people and for whoever waits: stage, rounds so far, error
    <run>/result.json               what the run came to; written once, at the end

Nothing relies on conditional puts: one coordinator writes one run's folder.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from catalog.errors import ObjectMissing
from catalog.manifest import VERSION, version_of_run
from catalog.objects import ObjectStore, delete_all
from federation.tensors import Tensors, from_safetensors, to_safetensors
from server.errors import ModelDamaged


@dataclass(frozen=True)
class RoundReport:
    """What one round came to; field names are those of the demo's report."""

    round: int
    recall_at_10: float
    recall_at_1: float
    mrr: float
    replies: int
    rejected: int
    bytes_up: int
    bytes_down: int
    seconds: float
    loss: float
    rejections: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "rejections": list(self.rejections)}


class RunFolder:
    """Reads and writes one run's folder."""

    def __init__(self, store: ObjectStore, run_key: str) -> None:
        self._store = store
        # Schedulers' run ids hold colons and pluses, which are no part of a safe key.
        self.name = run_key if VERSION.fullmatch(run_key) else version_of_run(run_key)

    def clear(self) -> None:
        """Forget an earlier attempt under the same key."""
        delete_all(self._store, f"{self.name}/")

    def save_round(self, round_number: int, heads: Tensors, report: RoundReport) -> None:
        """Keep the state after a round, then say that it is whole."""
        data = to_safetensors(heads)
        key = self._round_key(round_number)
        self._store.put(key, data)
        marker = {"round": round_number, "sha256": hashlib.sha256(data).hexdigest(), "report": report.as_dict()}
        self._put("state.json", marker)

    def load_round(self, round_number: int) -> Tensors:
        """The state after a round that was saved."""
        return from_safetensors(self._store.get(self._round_key(round_number)))

    def last_round(self) -> tuple[int, Tensors] | None:
        """The last complete round and its state, or None; raises ModelDamaged when its bytes have changed."""
        marker = self._read("state.json")
        if marker is None:
            return None
        data = self._store.get(self._round_key(marker["round"]))
        if hashlib.sha256(data).hexdigest() != marker["sha256"]:
            raise ModelDamaged(f"The checkpoint of round {marker['round']} of {self.name} is damaged.")
        return int(marker["round"]), from_safetensors(data)

    def say(self, stage: str, *, done: int = 0, total: int | None = None, message: str = "", **more: Any) -> None:
        """Tell whoever waits what is going on."""
        status = {"stage": stage, "done": done, "total": total, "message": message, **more}
        self._put("status.json", {**status, "at": datetime.now(UTC).isoformat(timespec="seconds")})

    def status(self) -> dict[str, Any] | None:
        """What `say` said last, or None before the first word."""
        return self._read("status.json")

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result."""
        self._put("result.json", result)

    def result(self) -> dict[str, Any] | None:
        """The result, or None while there is none."""
        return self._read("result.json")

    def note_attempt(self, flower_run: str) -> None:
        """Remember which run of Flower works on this folder, so that a later attempt can end it."""
        self._put("attempt.json", {"flower_run": flower_run})

    def attempt(self) -> str | None:
        """The run of Flower that worked on this folder last."""
        found = self._read("attempt.json")
        return str(found["flower_run"]) if found else None

    def _round_key(self, round_number: int) -> str:
        return f"{self.name}/round-{round_number:04d}.safetensors"

    def _put(self, name: str, value: dict[str, Any]) -> None:
        self._store.put(f"{self.name}/{name}", json.dumps(value, indent=1).encode())

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._store.get(f"{self.name}/{name}"))
        except ObjectMissing:
            return None
        return found
