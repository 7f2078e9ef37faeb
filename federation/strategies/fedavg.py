"""Federated averaging (McMahan et al. 2017)."""

from __future__ import annotations

import numpy as np

from federation.strategies.mean import MeanStrategy


class FedAvg(MeanStrategy):
    """The mean delta, as it is."""

    def step(self, name: str, mean: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """η Δ"""
        return self.rate * mean
