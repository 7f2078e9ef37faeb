"""What a federated run is told: one frozen object, carried as Flower's run-config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from federation.errors import FederationConfigError
from federation.presets import load_preset
from federation.strategies import STRATEGIES

RunConfig = dict[str, str | int | float | bool]
TRAINABLE = ("heads",)


@dataclass(frozen=True, kw_only=True)
class FederationConfig:
    """Settings of one run; every field has a key of the same name, with dashes, in ``[tool.flwr.app.config]``."""

    preset: str = "lite"
    """Towers and heads; a file of federation/presets."""
    trainable: str = "heads"
    """What is trained and travels."""
    strategy: str = "fedavg"
    """How deltas are combined."""
    rounds: int = 3
    local_epochs: int = 30
    """Passes over a client's products in each round."""
    batch_size: int = 128
    learning_rate: float = 2e-3
    """Of AdamW, on the client."""
    weight_decay: float = 0.1
    dropout: float = 0.6
    """Share of each frozen feature that is hidden while training: heads overfit small catalogues otherwise."""
    seed: int = 0
    """Of the first heads, the batches and the dropout."""
    quorum: float = 0.5
    """Share of the clients whose valid updates a round needs."""
    min_clients: int = 2
    """Clients that must be online before the first round."""
    wait_s: float = 60.0
    """How long to wait for them."""
    deadline_s: float = 600.0
    """How long a round waits for replies; the first one includes encoding on the clients."""

    def __post_init__(self) -> None:
        load_preset(self.preset)
        _require(self.trainable in TRAINABLE, "trainable", self.trainable, f"one of: {', '.join(TRAINABLE)}")
        _require(self.strategy in STRATEGIES, "strategy", self.strategy, f"one of: {', '.join(STRATEGIES)}")
        for name, low, high in (("rounds", 1, 1000), ("local_epochs", 1, 1000), ("batch_size", 2, 65536)):
            _require(low <= getattr(self, name) <= high, name, getattr(self, name), f"{low} to {high}")
        for name in ("learning_rate", "wait_s", "deadline_s"):
            value = getattr(self, name)
            _require(math.isfinite(value) and value > 0, name, value, "a positive number")
        _require(math.isfinite(self.weight_decay) and self.weight_decay >= 0, "weight_decay", self.weight_decay, "≥ 0")
        _require(0 <= self.dropout < 1, "dropout", self.dropout, "0 to below 1")
        _require(0 < self.quorum <= 1, "quorum", self.quorum, "above 0, at most 1")
        _require(self.min_clients >= 1, "min_clients", self.min_clients, "at least 1")
        _require(0 <= self.seed < 2**31, "seed", self.seed, "0 to 2³¹ − 1")

    def to_run_config(self) -> RunConfig:
        """Keys and values for ``flwr run --run-config`` and for messages to clients."""
        return {name.replace("_", "-"): value for name, value in asdict(self).items()}

    @classmethod
    def from_run_config(cls, values: Mapping[str, Any]) -> FederationConfig:
        """Read the keys that are ours and ignore the rest.

        Raises:
            FederationConfigError: a value has the wrong type or lies outside its range.
        """
        chosen: dict[str, Any] = {}
        for field in fields(cls):
            key = field.name.replace("_", "-")
            if key in values:
                chosen[field.name] = _typed(field.name, values[key], type(field.default))
        return replace(cls(), **chosen)

    def replies_needed(self, clients: int) -> int:
        """Valid updates that a round with ``clients`` clients needs."""
        return max(1, math.ceil(self.quorum * clients))


def _typed(name: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    _require(isinstance(value, kind) and not (kind is int and isinstance(value, bool)), name, value, kind.__name__)
    return value


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise FederationConfigError(f"{name} is {value!r}.", hint=f"Allowed: {allowed}.")
