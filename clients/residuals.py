"""What an encoding left out of a client's last update, kept on its disk and added to its next one.

One file a round: a round that is repeated starts from what there was before it, not from its own first attempt. Those
of the last runs are kept, as a run may be resumed; each is as large as an update.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from core.files import write_atomically
from federation.tensors import Tensors, from_safetensors, to_safetensors

KEPT_ROUNDS, KEPT_RUNS = 3, 3
ROUND = re.compile(r"round-(\d+)\.safetensors")


class Residuals:
    """One run's residuals of one client."""

    def __init__(self, root: Path, *, owner: str, run: str) -> None:
        # A run's key comes from the coordinator: as a name of a folder it must stay inside ours.
        self._folder = root / owner / "residuals" / re.sub(r"[^A-Za-z0-9_-]+", "-", run)[:100]

    def before(self, round_number: int) -> Tensors | None:
        """What the latest round before this one left; None when there was none."""
        earlier = [number for number in self._rounds() if number < round_number]
        return from_safetensors(self._path(max(earlier))) if earlier else None

    def save(self, round_number: int, residual: Tensors) -> None:
        """Keep what this round left; what only older rounds, or older runs, need is removed."""
        write_atomically(self._path(round_number), to_safetensors(residual))
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
