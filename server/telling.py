"""What a run tells while it goes on: each word with the rounds so far, so that one look at its status says all."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from core.progress import NoProgress
from server.checkpoints import RunFolder
from server.reports import RoundReport


@dataclass
class Teller:
    """Writes a run's status."""

    folder: RunFolder
    total: int
    """Rounds of the run."""
    reports: list[RoundReport] = field(default_factory=list)
    resumed_from: int | None = None
    """The round from which the run went on; None: it began at the beginning."""

    def say(self, stage: str, **more: Any) -> None:
        """Tell whoever waits, with the rounds so far."""
        if stage == "rounds":
            more = {"done": len(self.reports), "total": self.total} | more
        rounds = [report.summary() for report in self.reports]
        self.folder.say(stage, rounds=rounds, resumed_from=self.resumed_from, **more)


class EncodingProgress(NoProgress):
    """Passes the encoding's progress on to the run's status, every second at most: each word is an S3 put."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._said = 0.0

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        now = time.monotonic()
        if done == total or now - self._said >= 1.0:
            self._said = now
            self._teller.say(stage, done=done, total=total, message=detail)
