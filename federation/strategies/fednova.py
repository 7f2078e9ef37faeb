"""FedNova (Wang et al. 2020): clients that make more steps in a round do not count more than their products."""

from __future__ import annotations

import numpy as np

from federation.batches import steps_of
from federation.config import FederationConfig
from federation.strategies.mean import MeanStrategy
from federation.wire import EncodedUpdate


class FedNova(MeanStrategy):
    """The mean of the deltas per step, times the mean number of steps.

    A plain mean weights a delta by the client's products, and a client of many products makes many steps besides: it
    counts about with the square of its products, and what is kept is its own objective rather than everybody's.
    """

    def __init__(self, config: FederationConfig) -> None:
        super().__init__(config)
        self._examples, self._steps, self._per_step = 0, 0, 0.0

    def begin(self) -> None:
        """A new round: forget what was added."""
        super().begin()
        self._examples, self._steps, self._per_step = 0, 0, 0.0

    def add(self, update: EncodedUpdate, *, examples: int) -> None:
        """Stream one update into the sum, by the products behind each of its steps."""
        steps = steps_of(examples, self.config)
        self._mean.add(update, weight=examples / steps)
        self._examples += examples
        self._steps += examples * steps
        self._per_step += examples / steps

    def step(self, name: str, mean: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """η τ Σ pᵢ Δᵢ / τᵢ, with pᵢ the share of the products and τ = Σ pᵢ τᵢ the mean number of steps"""
        mean_steps = self._steps / self._examples
        return self.rate * np.float32(mean_steps * self._per_step / self._examples) * mean
