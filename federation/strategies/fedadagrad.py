"""FedAdagrad (Reddi et al. 2021)."""

from __future__ import annotations

import numpy as np

from federation.strategies.adaptive import AdaptiveStrategy


class FedAdagrad(AdaptiveStrategy):
    """The second moment never forgets: steps shrink where much has moved already."""

    def second_moment(self, before: np.ndarray, squared: np.ndarray) -> np.ndarray:
        """v ← v + Δ²"""
        return np.asarray(before + squared)
