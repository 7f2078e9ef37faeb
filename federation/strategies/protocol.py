"""What a strategy is."""

from __future__ import annotations

from typing import Protocol

from federation.tensors import Tensors
from federation.wire import EncodedUpdate


class Strategy(Protocol):
    """Takes the validated updates of one round, one by one, and makes the next global state; may remember rounds."""

    def begin(self) -> None:
        """A new round: forget what was added."""

    def add(self, update: EncodedUpdate, *, examples: int) -> None:
        """Count one client's update, trained on ``examples`` products. The same order gives the same last bits."""

    def finish(self, state: Tensors) -> Tensors:
        """The state after this round; NothingToLearn when nothing was added."""

    def state_dict(self) -> Tensors:
        """What is remembered between rounds, for a checkpoint; empty where nothing is."""

    def load_state_dict(self, tensors: Tensors) -> None:
        """Go on from what `state_dict` gave."""
