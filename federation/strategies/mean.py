"""Strategies over the mean of the deltas, weighted by the number of products behind each; memory holds one sum.

In a private run all weigh alike, and noise is added to the mean before the server's optimiser sees it: whatever is made
of the noisy mean, its privacy is the same.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from federation.accumulate import StreamingMean
from federation.config import FederationConfig
from federation.privacy.noise import GaussianNoise
from federation.tensors import Tensors
from federation.wire import EncodedUpdate


class MeanStrategy:
    """The mean delta, then the step that a server optimiser makes of it."""

    learning_rate: ClassVar[float] = 1.0
    """Where the run names none."""
    moments: ClassVar[tuple[str, ...]] = ()
    """What is remembered of each tensor."""

    def __init__(self, config: FederationConfig) -> None:
        self.config = config
        self.rate = np.float32(config.server_learning_rate or self.learning_rate)
        self._mean = StreamingMean()
        self._noise = GaussianNoise.of(config)
        self._moments: dict[str, Tensors] = {moment: {} for moment in self.moments}

    def begin(self) -> None:
        """A new round: forget what was added."""
        self._mean = StreamingMean()

    def add(self, update: EncodedUpdate, *, examples: int) -> None:
        """Stream one update into the sum."""
        # Weighted by products, one client could move the mean by more than its clip norm over the number of clients.
        self._mean.add(update, weight=1.0 if self.config.is_private else float(examples))

    def finish(self, state: Tensors) -> Tensors:
        """The state after this round; NothingToLearn when nothing was added."""
        clients, mean = self._mean.weight, self._mean.mean()
        if self._noise is not None:
            self._noise.add_to(mean, divided_by=clients)
        # Popped: no more than the old state, the new one and one tensor beside what is left of the mean.
        steps = ((name, array, self.step(name, mean.pop(name))) for name, array in state.items())
        return {name: (array + step).astype(np.float32, copy=False) for name, array, step in steps}

    def step(self, name: str, mean: np.ndarray) -> np.ndarray:
        """What is added to the tensor ``name``, of its mean delta."""
        raise NotImplementedError(type(self).__name__)

    def moment(self, kind: str, name: str, like: np.ndarray, *, start: float = 0.0) -> np.ndarray:
        """What is remembered of a tensor; ``start`` everywhere before the first round."""
        return self._moments[kind].setdefault(name, np.full_like(like, start))

    def remember(self, kind: str, name: str, value: np.ndarray) -> np.ndarray:
        """Keep it for the next round."""
        self._moments[kind][name] = np.asarray(value, np.float32)
        return self._moments[kind][name]

    def state_dict(self) -> Tensors:
        """Moments by ``kind/name``."""
        return {f"{kind}/{name}": array for kind, kept in self._moments.items() for name, array in kept.items()}

    def load_state_dict(self, tensors: Tensors) -> None:
        """Go on from what `state_dict` gave."""
        self._moments = {kind: {} for kind in self.moments}
        for key, array in tensors.items():
            kind, _, name = key.partition("/")
            self._moments[kind][name] = array
