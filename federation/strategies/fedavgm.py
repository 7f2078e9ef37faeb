"""Federated averaging with server momentum (Hsu et al. 2019)."""

from __future__ import annotations

import numpy as np

from federation.strategies.mean import MeanStrategy


class FedAvgM(MeanStrategy):
    """The mean delta with a memory of the earlier ones."""

    moments = ("momentum",)

    def step(self, name: str, mean: np.ndarray) -> np.ndarray:
        """m ← β m + Δ; η m"""
        before = self.moment("momentum", name, mean)
        momentum = self.remember("momentum", name, np.float32(self.config.server_momentum) * before + mean)
        return self.rate * momentum
