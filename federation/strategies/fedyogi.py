"""FedYogi (Reddi et al. 2021)."""

from __future__ import annotations

import numpy as np

from federation.strategies.adaptive import AdaptiveStrategy


class FedYogi(AdaptiveStrategy):
    """The second moment changes by at most Δ², so that one large round is not followed by many small steps."""

    def second_moment(self, before: np.ndarray, squared: np.ndarray) -> np.ndarray:
        """v ← v − (1 − β₂) Δ² sign(v − Δ²)"""
        beta = np.float32(self.config.server_beta2)
        return np.asarray(before - (1 - beta) * squared * np.sign(before - squared))
