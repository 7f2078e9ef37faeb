"""FedAdam (Reddi et al. 2021)."""

from __future__ import annotations

import numpy as np

from federation.strategies.adaptive import AdaptiveStrategy


class FedAdam(AdaptiveStrategy):
    """The second moment forgets at a steady rate."""

    def second_moment(self, before: np.ndarray, squared: np.ndarray) -> np.ndarray:
        """v ← β₂ v + (1 − β₂) Δ²"""
        beta = np.float32(self.config.server_beta2)
        return beta * before + (1 - beta) * squared
