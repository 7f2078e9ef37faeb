"""Krum's choice, then a coordinate-wise mean around its median (El Mhamdi et al. 2018)."""

from __future__ import annotations

from typing import Any

from flwr.serverapp import strategy

from federation.strategies.robust import RobustStrategy


class Bulyan(RobustStrategy):
    """Flower's `Bulyan`."""

    def flower(self, updates: int) -> Any:  # noqa: ARG002
        """For this round."""
        return strategy.Bulyan(num_malicious_nodes=self.config.attackers)

    def needed(self) -> int:
        """The paper's condition: n ≥ 4 f + 3."""
        return 4 * self.config.attackers + 3
