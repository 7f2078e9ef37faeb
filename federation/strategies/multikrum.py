"""The mean of the updates that lie closest to the others (Blanchard et al. 2017)."""

from __future__ import annotations

from typing import Any

from flwr.serverapp import strategy

from federation.strategies.robust import RobustStrategy


class MultiKrum(RobustStrategy):
    """Flower's `MultiKrum`."""

    def flower(self, updates: int) -> Any:
        """For this round."""
        return strategy.MultiKrum(
            num_malicious_nodes=self.config.attackers, num_nodes_to_select=updates - self.config.attackers
        )

    def needed(self) -> int:
        """The paper's condition: n > 2 f + 2."""
        return 2 * self.config.attackers + 3
