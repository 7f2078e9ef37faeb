"""Strategies that withstand malicious clients, by Flower's own implementations.

They look at all updates of a round side by side, so that memory grows with the clients; and they weigh all clients
alike: a number of examples is a client's own word, and must not buy an attacker influence.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MessageType, Metadata, MetricRecord, RecordDict
from flwr.app.message import make_message
from flwr.serverapp.exception import AggregationError

from federation.config import FederationConfig
from federation.errors import NothingToLearn, TooFewUpdates
from federation.tensors import Tensors
from federation.wire import EncodedUpdate

EXAMPLES = "num-examples"
ENVELOPE = Metadata(0, "", 0, 0, "", "", 0.0, 3600.0, MessageType.TRAIN)
"""Flower aggregates messages; nothing but their content is looked at."""


class RobustStrategy:
    """Keeps a round's deltas and hands them to one of Flower's strategies."""

    def __init__(self, config: FederationConfig) -> None:
        self.config = config
        self._deltas: list[Tensors] = []

    def flower(self, updates: int) -> Any:
        """Flower's strategy for a round of so many updates."""
        raise NotImplementedError(type(self).__name__)

    def needed(self) -> int:
        """The least number of updates with which it can withstand ``config.attackers``."""
        raise NotImplementedError(type(self).__name__)

    def begin(self) -> None:
        """A new round: forget what was added."""
        self._deltas = []

    def add(self, update: EncodedUpdate, *, examples: int) -> None:  # noqa: ARG002
        """Keep one update."""
        self._deltas.append(update.decode())

    def finish(self, state: Tensors) -> Tensors:
        """The state after this round.

        Raises:
            NothingToLearn: nothing was added.
            TooFewUpdates: not enough for what the strategy promises; says how many it needs.
        """
        if not self._deltas:
            raise NothingToLearn("No client's update counted in this round.", hint="Look at the rejected replies.")
        if len(self._deltas) < self.needed():
            raise TooFewUpdates(
                f"{self.config.strategy} withstands {self.config.attackers} malicious clients among at least "
                f"{self.needed()}; {len(self._deltas)} updates count.",
                hint="Take part with more clients, lower `attackers`, or choose another strategy.",
            )
        combined = self.combine()
        rate = np.float32(self.config.server_learning_rate or 1.0)
        return {name: (array + rate * combined[name]).astype(np.float32) for name, array in state.items()}

    def state_dict(self) -> Tensors:
        """Nothing is remembered between rounds."""
        return {}

    def load_state_dict(self, tensors: Tensors) -> None:
        """Nothing to go on from."""

    def combine(self) -> Tensors:
        """The combined delta of the round, by Flower's strategy; raises TooFewUpdates when that has not enough."""
        messages = [_message(delta) for delta in self._deltas]
        updates, self._deltas = len(self._deltas), []
        try:
            with _quiet():
                arrays, _ = self.flower(updates).aggregate_train(1, messages)
        except AggregationError as error:
            raise TooFewUpdates(f"{self.config.strategy} cannot combine {updates} updates: {error}.") from None
        if arrays is None:
            raise TooFewUpdates(f"{self.config.strategy} cannot combine {updates} updates.")
        return {name: np.asarray(array.numpy(), np.float32) for name, array in arrays.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Flower's line at INFO for each round; what else this process has to say is heard as before."""
    logger = logging.getLogger("flwr")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _message(delta: Tensors) -> Message:
    arrays = ArrayRecord({name: Array(np.asarray(array, order="C")) for name, array in delta.items()})
    content = RecordDict({"arrays": arrays, "metrics": MetricRecord({EXAMPLES: 1})})
    # Built from its metadata: Flower's public constructors want a running app around them.
    return make_message(ENVELOPE, content)
