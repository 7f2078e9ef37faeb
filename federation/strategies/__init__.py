"""How the coordinator turns one round's validated updates into the next state; one strategy a file, chosen by name."""

from __future__ import annotations

from collections.abc import Callable

from federation.config import FederationConfig
from federation.errors import FederationConfigError
from federation.strategies.bulyan import Bulyan
from federation.strategies.fedadagrad import FedAdagrad
from federation.strategies.fedadam import FedAdam
from federation.strategies.fedavg import FedAvg
from federation.strategies.fedavgm import FedAvgM
from federation.strategies.fedcosine import FedCosine
from federation.strategies.fedmedian import FedMedian
from federation.strategies.fednova import FedNova
from federation.strategies.fedtrimmedavg import FedTrimmedAvg
from federation.strategies.fedyogi import FedYogi
from federation.strategies.krum import Krum
from federation.strategies.multikrum import MultiKrum
from federation.strategies.protocol import Strategy

__all__ = ["STRATEGIES", "Strategy", "new_strategy"]

STRATEGIES: dict[str, Callable[[FederationConfig], Strategy]] = {
    "fedavg": FedAvg,
    "fednova": FedNova,
    "fedavgm": FedAvgM,
    "fedadam": FedAdam,
    "fedyogi": FedYogi,
    "fedadagrad": FedAdagrad,
    "fedmedian": FedMedian,
    "fedtrimmedavg": FedTrimmedAvg,
    "krum": Krum,
    "multikrum": MultiKrum,
    "bulyan": Bulyan,
    "fedcosine": FedCosine,
}


def new_strategy(config: FederationConfig) -> Strategy:
    """A fresh strategy for one run; raises FederationConfigError for an unknown name."""
    if config.strategy not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise FederationConfigError(f"Unknown strategy {config.strategy!r}.", hint=f"Choose one of: {known}.")
    return STRATEGIES[config.strategy](config)
