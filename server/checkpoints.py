"""A run's folder in ``s3://checkpoints``: what it is about, a checkpoint per round, what is going on now, the result.

    <run>/run.json                           config, catalogue, base, and an identity; written once, at the start
    <run>/round-0001.safetensors             the global state after that round
    <run>/round-0001.optimiser.safetensors   the strategy's own state, where it has one
    <run>/round-0001.json                    reports, norms and digests so far, the best round, what privacy cost
    <run>/state.json                         the last complete round, and every part's SHA-256: the commit marker
                                             (sealed: each part as in sealing.py, and the marker is their manifest)
    <run>/unmasked.json                      how often the sum of each round may have been known, in a confidential
                                             private run; plain and unsigned, also where there are keys
    <run>/state.json.resigned, result.json.resigned   their signatures by a later key, after a rotation of keys
    <run>/owner.json                         the coordinator that works on it: another one's commits are refused
    <run>/attempt.json                       the run of Flower that works on it
    <run>/status.json                        for people and for whoever waits: stage, rounds so far, error
    <run>/result.json                        what the run came to; written once, at the end (sealed: signed, result.sig)

The marker is written last, so a round counts with all its parts or not at all; what it does not name is not read. Parts
of the last two rounds and the state of the best one are kept. The sampling of clients has no state, see gathering.py.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from catalog.errors import ObjectMissing
from catalog.manifest import VERSION, version_of_run
from catalog.objects import ObjectStore, delete_all, get_or_none
from federation.config import FederationConfig
from federation.privacy.accountant import Ledger
from federation.tensors import Tensors, from_safetensors, to_safetensors
from server.about import About, require_same
from server.errors import RunTakenOver
from server.memory import Memory
from server.parts import Marker, Record, parts_of
from server.reports import RoundReport
from server.sealing import Seals

KEPT_ROUNDS = 2
STATE, OPTIMISER, PROGRESS = "safetensors", "optimiser.safetensors", "json"


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on after a round as if it had never stopped."""

    state: Tensors
    optimiser: Tensors
    memory: Memory
    reports: tuple[RoundReport, ...]
    best_round: int
    ledger: Ledger = field(default_factory=Ledger)
    """What a private run has spent; empty of others."""

    @property
    def round(self) -> int:
        """The round after which it was taken."""
        return len(self.reports)

    def parts(self) -> dict[str, bytes]:
        """Its files, by the end of their names."""
        progress = {
            "reports": [report.as_dict() for report in self.reports],
            "memory": self.memory.as_dict(),
            "best_round": self.best_round,
            "privacy": self.ledger.as_list(),
        }
        optimiser = {OPTIMISER: to_safetensors(self.optimiser)} if self.optimiser else {}
        return {STATE: to_safetensors(self.state), **optimiser, PROGRESS: json.dumps(progress).encode()}


class RunFolder:
    """Reads and writes one run's folder.

    Args:
        store: the bucket.
        run_key: which run.
        seals: for whoever reads or writes checkpoints, or builds on a result; None where the process has no keys, and
            for those who look only.
    """

    def __init__(self, store: ObjectStore, run_key: str, seals: Seals | None = None) -> None:
        self._store = store
        self.seals = seals
        self._token = uuid.uuid4().hex
        # Schedulers' run ids hold colons and pluses, which are no part of a safe key.
        self.name = run_key if VERSION.fullmatch(run_key) else version_of_run(run_key)
        self._parts = parts_of(store, self.name, seals)
        self._begun: bytes | None = None

    def clear(self) -> None:
        """Forget an earlier run under the same key."""
        delete_all(self._store, f"{self.name}/")

    def begin(self, about: About) -> About:
        """Write down what the run is about, or compare it with what it was about when it began.

        Raises:
            RunDiffers: the config, the catalogue or the base model is another.
        """
        data = self._bytes("run.json")
        if data is None:
            begun = About(about.config, about.catalogue_version, about.base_hash, uuid.uuid4().hex)
            data = _written(asdict(begun))
            self._store.put(f"{self.name}/run.json", data)
        known = About(**json.loads(data))
        require_same(self.name, known, about)
        # Not what may lie there by the time of the first checkpoint.
        self._begun = data
        return known

    def about(self) -> About | None:
        """What the run is about, or None before it began."""
        found = self._read("run.json")
        return About(**found) if found else None

    def require_config(self, config: FederationConfig) -> None:
        """Raise RunDiffers unless the run was begun with this config."""
        known = self.about()
        if known is not None:
            require_same(self.name, known, About(config.to_run_config(), known.catalogue_version, known.base_hash))

    def take_over(self) -> None:
        """Become the one that works on this folder; whoever did so before can commit nothing more."""
        self._put("owner.json", {"token": self._token})

    @property
    def is_mine(self) -> bool:
        """Whether nobody has taken it over since."""
        owner = self._read("owner.json")
        return owner is not None and owner["token"] == self._token

    def commit(self, checkpoint: Checkpoint) -> None:
        """Keep all parts of a checkpoint, then say that it is whole; remove what is no longer needed.

        Raises:
            RunTakenOver: another coordinator works on this folder.
        """
        self._require_mine()
        kept, parts = self._kept(checkpoint), checkpoint.parts()
        while parts:
            # One by one: a large part and what becomes of it stay in memory no longer than need be.
            kind, data = parts.popitem()
            name = self._part(checkpoint.round, kind)
            kept[name] = self._parts.put(name, data)
        self._require_mine()
        self._parts.mark(Marker(checkpoint.round, kept), about=self._begun)
        files = {file for name, record in kept.items() for file in self._parts.files(name, record)}
        for key in self._store.list(f"{self.name}/round-"):
            if key.removeprefix(f"{self.name}/") not in files:
                self._store.delete(key)

    def last(self) -> Checkpoint | None:
        """The last checkpoint that is whole, or None.

        Raises:
            ModelDamaged, ArtifactRefused: a part, or the marker, is not what was written.
        """
        marker = self._parts.marker()
        if marker is None:
            return None
        number = marker.round
        progress = json.loads(self._load(marker, self._part(number, PROGRESS)))
        optimiser = self._part(number, OPTIMISER)
        return Checkpoint(
            state=from_safetensors(self._load(marker, self._part(number, STATE))),
            optimiser=from_safetensors(self._load(marker, optimiser)) if optimiser in marker.parts else {},
            memory=Memory.from_dict(progress["memory"]),
            reports=tuple(RoundReport.from_dict(report) for report in progress["reports"]),
            best_round=int(progress["best_round"]),
            # Checkpoints of older releases have none: their runs were not private.
            ledger=Ledger.from_list(progress.get("privacy", [])),
        )

    def state_after(self, round_number: int) -> Tensors:
        """The state after one of the rounds that are kept."""
        return from_safetensors(self._load(self._marker(), self._part(round_number, STATE)))

    def state_sha256(self, round_number: int) -> str:
        """The SHA-256 of the file with that state."""
        return self._marker().sha256(self._part(round_number, STATE))

    def trim(self, chosen_round: int) -> int:
        """Remove all parts of a finished run but the state after the chosen round; returns how many went."""
        chosen = f"{self.name}/{self._part(chosen_round, STATE)}"
        unneeded = [key for key in self._store.list(f"{self.name}/round-") if not key.startswith(chosen)]
        for key in unneeded:
            self._store.delete(key)
        return len(unneeded)

    def say(self, stage: str, *, done: int = 0, total: int | None = None, message: str = "", **more: Any) -> None:
        """Tell whoever waits what is going on."""
        status = {"stage": stage, "done": done, "total": total, "message": message, **more}
        self._put("status.json", {**status, "at": datetime.now(UTC).isoformat(timespec="seconds")})

    def status(self) -> dict[str, Any] | None:
        """What `say` said last, or None before the first word."""
        return self._read("status.json")

    def told_rounds(self) -> dict[str, Any]:
        """What the status tells of rounds, to be told again with the next word."""
        said = self.status() or {}
        return {name: said[name] for name in ("rounds", "resumed_from") if name in said}

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result; raises RunTakenOver where another coordinator works on this folder."""
        self._require_mine()
        self._parts.finish(_written(result))

    def result(self) -> dict[str, Any] | None:
        """The result, or None while there is none; to be shown."""
        return self._read("result.json")

    def believed_result(self) -> dict[str, Any] | None:
        """The result, or None while there is none; to build on.

        Raises:
            ArtifactRefused: it is not what the coordinator signed.
        """
        data = self._bytes("result.json")
        if data is None:
            return None
        self._parts.verify_result(data)
        found: dict[str, Any] = json.loads(data)
        return found

    def note_unmasking(self, round_number: int) -> None:
        """Remember that the sum of a round is about to be unmasked, once more where it was before.

        Raises:
            RunTakenOver: another coordinator works on this folder; this one must not come to know the sum.
        """
        self._require_mine()
        noted = self._read("unmasked.json") or {}
        self._put("unmasked.json", noted | {str(round_number): self.unmaskings(round_number) + 1})

    def unmaskings(self, round_number: int) -> int:
        """How often the sum of a round may have been unmasked, by whatever coordinator of this run."""
        return int((self._read("unmasked.json") or {}).get(str(round_number), 0))

    def note_attempt(self, flower_run: str) -> None:
        """Remember which run of Flower works on this folder, so that a later attempt can end it."""
        self._put("attempt.json", {"flower_run": flower_run})

    def attempt(self) -> str | None:
        """The run of Flower that worked on this folder last."""
        found = self._read("attempt.json")
        return str(found["flower_run"]) if found else None

    def _kept(self, checkpoint: Checkpoint) -> dict[str, Record]:
        """The parts of earlier rounds that stay."""
        marker = self._parts.marker()
        earlier = marker.parts if marker else {}
        kinds = (STATE, OPTIMISER, PROGRESS)
        recent = range(checkpoint.round - KEPT_ROUNDS + 1, checkpoint.round)
        kept = {self._part(number, kind) for number in recent for kind in kinds}
        kept.add(self._part(checkpoint.best_round, STATE))
        return {name: record for name, record in earlier.items() if name in kept}

    def _load(self, marker: Marker, name: str) -> bytes:
        return self._parts.get(name, marker.parts[name])

    def _marker(self) -> Marker:
        marker = self._parts.marker()
        if marker is None:
            raise ObjectMissing(f"Run {self.name} has no complete round.", hint="Let it go on first.")
        return marker

    def _require_mine(self) -> None:
        if not self.is_mine:
            raise RunTakenOver(
                f"Another coordinator works on run {self.name}; this one gives up.",
                hint="See `tejido federation status`.",
            )

    @staticmethod
    def _part(round_number: int, kind: str) -> str:
        return f"round-{round_number:04d}.{kind}"

    def _put(self, name: str, value: dict[str, Any]) -> None:
        self._store.put(f"{self.name}/{name}", _written(value))

    def _read(self, name: str) -> dict[str, Any] | None:
        data = self._bytes(name)
        found: dict[str, Any] | None = None if data is None else json.loads(data)
        return found

    def _bytes(self, name: str) -> bytes | None:
        return get_or_none(self._store, f"{self.name}/{name}")


def _written(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode()
