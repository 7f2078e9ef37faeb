"""The coordinate-wise median (Yin et al. 2018)."""

from __future__ import annotations

from typing import Any

from flwr.serverapp import strategy

from federation.strategies.robust import RobustStrategy


class FedMedian(RobustStrategy):
    """Flower's `FedMedian`."""

    def flower(self, updates: int) -> Any:  # noqa: ARG002
        """For this round."""
        return strategy.FedMedian()

    def needed(self) -> int:
        """Half of the updates and one more must be honest."""
        return 2 * self.config.attackers + 1
