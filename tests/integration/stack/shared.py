"""What the tests on the shared stack have in common: its clients, its catalogue's size, its run."""

from __future__ import annotations

from core.progress import NoProgress
from federation.config import FederationConfig

CLIENTS = ("aurora", "boreal", "cobre")
PRODUCTS = 300
CONFIG = FederationConfig(rounds=2)


class Recorder(NoProgress):
    """Remembers the stages that it was told of."""

    def __init__(self) -> None:
        self.stages: set[str] = set()

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        self.stages.add(stage)
