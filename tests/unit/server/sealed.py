"""What the tests of sealed artifacts have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from catalog.objects import DirectoryStore
from federation.tensors import Tensors
from server.checkpoints import Checkpoint, RunFolder
from server.memory import Memory
from server.sealing import Seals
from tests.unit.server.test_checkpoints import ABOUT, report

RUN = "0123456789abcdef"
SMALL: Tensors = {"heads.image.weight": np.ones((2, 3), np.float32), "heads.log_scale": np.zeros((), np.float32)}


def run_folder(root: Path, seals: Seals | None, run: str = "run-1") -> RunFolder:
    folder = RunFolder(DirectoryStore(root), run, seals)
    if folder.about() is None:
        folder.begin(ABOUT)
    folder.take_over()
    return folder


def small(number: int) -> Checkpoint:
    return Checkpoint(
        SMALL, {"momentum": SMALL["heads.image.weight"]}, Memory((0.1,), frozenset()), (report(1),) * number, number
    )
