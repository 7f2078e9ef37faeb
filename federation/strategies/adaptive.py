"""What the adaptive server optimisers of Reddi et al. 2021 (algorithm 2) have in common.

As in the paper there is no bias correction, and v starts at τ². (Flower's own have a correction and start at 0.)
"""

from __future__ import annotations

import numpy as np

from federation.strategies.mean import MeanStrategy


class AdaptiveStrategy(MeanStrategy):
    """A first moment of the mean delta, divided by the root of a second one."""

    learning_rate = 0.01
    moments = ("first", "second")

    def step(self, name: str, mean: np.ndarray) -> np.ndarray:
        """m ← β₁ m + (1 − β₁) Δ; v by the strategy; η m / (√v + τ)"""
        beta, tau = np.float32(self.config.server_momentum), np.float32(self.config.server_tau)
        first = self.remember("first", name, beta * self.moment("first", name, mean) + (1 - beta) * mean)
        before = self.moment("second", name, mean, start=self.config.server_tau**2)
        second = self.remember("second", name, self.second_moment(before, np.square(mean)))
        return np.asarray(self.rate * first / (np.sqrt(second) + tau))

    def second_moment(self, before: np.ndarray, squared: np.ndarray) -> np.ndarray:
        """The second moment after a round, from the one before and Δ²."""
        raise NotImplementedError(type(self).__name__)
