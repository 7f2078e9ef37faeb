"""How the coordinator combines the clients' deltas; one strategy a file, chosen by name."""

from __future__ import annotations

from typing import Protocol

from federation.errors import FederationConfigError
from federation.strategies.fedavg import FedAvg
from federation.tensors import Tensors


class Aggregation(Protocol):
    """Takes the validated updates of one round, one by one, and says the step to take."""

    def add(self, delta: Tensors, *, examples: int) -> None:
        """Count one client's delta, trained on ``examples`` products."""

    def step(self) -> Tensors:
        """The combined delta; add it to the global state."""


STRATEGIES: dict[str, type[FedAvg]] = {"fedavg": FedAvg}


def new_aggregation(strategy: str) -> Aggregation:
    """A fresh aggregation for one round; raises FederationConfigError for an unknown strategy."""
    if strategy not in STRATEGIES:
        raise FederationConfigError(f"Unknown strategy {strategy!r}.", hint=f"Choose one of: {', '.join(STRATEGIES)}.")
    return STRATEGIES[strategy]()
