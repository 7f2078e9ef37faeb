"""What a client carries from a round to its next one, on its disk: it never travels.

That is what an encoding left out of its last update, and, if the run keeps them, its optimiser's moments. One file a
round: a round that is repeated starts from what there was before it, not from its own first attempt. Those of the last
runs are kept, as a run may be resumed; each is as large as the update, and thrice that with moments.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from core.files import write_atomically
from federation.tensors import Tensors, from_safetensors, to_safetensors

KEPT_ROUNDS, KEPT_RUNS = 3, 3
ROUND = re.compile(r"round-(\d+)\.safetensors")


@dataclass(frozen=True)
class Carried:
    """What one round left for the next; empty before the first."""

    residual: Tensors = field(default_factory=dict)
    """What the encoding left out."""
    moments: Tensors = field(default_factory=dict)
    """What AdamW remembers."""

    def to_tensors(self) -> Tensors:
        """All of it, as ``part/name``."""
        parts = {"residual": self.residual, "moments": self.moments}
        return {f"{part}/{name}": array for part, tensors in parts.items() for name, array in tensors.items()}

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> Carried:
        """What `to_tensors` gave."""
        parts: dict[str, Tensors] = {"residual": {}, "moments": {}}
        for key, array in tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = array
        return cls(**parts)


class CarryFolder:
    """Where one client keeps what it carries through one run."""

    def __init__(self, root: Path, *, owner: str, run: str) -> None:
        # A run's key comes from the coordinator: as a name of a folder it must stay inside ours.
        self._folder = root / owner / "carried" / re.sub(r"[^A-Za-z0-9_-]+", "-", run)[:100]

    def before(self, round_number: int) -> Carried:
        """What the latest round before this one left."""
        earlier = [number for number in self._rounds() if number < round_number]
        return Carried.from_tensors(from_safetensors(self._path(max(earlier)))) if earlier else Carried()

    def save(self, round_number: int, carried: Carried) -> None:
        """Keep what this round left; what only older rounds, or older runs, need is removed."""
        tensors = carried.to_tensors()
        if not tensors:
            return
        write_atomically(self._path(round_number), to_safetensors(tensors))
        for old in self._rounds()[:-KEPT_ROUNDS]:
            self._path(old).unlink(missing_ok=True)
        runs = sorted(self._folder.parent.iterdir(), key=lambda run: run.stat().st_mtime)
        for ended in runs[:-KEPT_RUNS]:
            shutil.rmtree(ended)

    def _rounds(self) -> list[int]:
        found = (ROUND.fullmatch(path.name) for path in self._folder.glob("round-*.safetensors"))
        return sorted(int(match[1]) for match in found if match)

    def _path(self, round_number: int) -> Path:
        return self._folder / f"round-{round_number:05d}.safetensors"
