"""The coordinate-wise trimmed mean (Yin et al. 2018): the largest and smallest ``attackers`` values do not count."""

from __future__ import annotations

from typing import Any

from flwr.serverapp import strategy

from federation.strategies.robust import RobustStrategy


class FedTrimmedAvg(RobustStrategy):
    """Flower's `FedTrimmedAvg`."""

    def flower(self, updates: int) -> Any:
        """For this round."""
        return strategy.FedTrimmedAvg(beta=(self.config.attackers + 0.25) / updates)

    def needed(self) -> int:
        """Something must be left when both ends are cut off."""
        return 2 * self.config.attackers + 1
