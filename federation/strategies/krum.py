"""The one update that lies closest to the others (Blanchard et al. 2017)."""

from __future__ import annotations

from typing import Any

from flwr.serverapp import strategy

from federation.strategies.robust import RobustStrategy


class Krum(RobustStrategy):
    """Flower's `Krum`."""

    def flower(self, updates: int) -> Any:  # noqa: ARG002
        """For this round."""
        return strategy.Krum(num_malicious_nodes=self.config.attackers)

    def needed(self) -> int:
        """The paper's condition: n > 2 f + 2."""
        return 2 * self.config.attackers + 3
