"""A federation's clients in this process: what their ClientApps do, without Flower between them and the coordinator."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flwr.app import Message, MessageType, Metadata, RecordDict
from flwr.app.message import make_message

from clients.app import as_sent, read_task, update_message
from clients.faults import NO_FAULTS, Faults
from clients.learning import Contribution, training_seed
from core.settings import SimulationFaults
from federation.error_feedback import compress
from federation.features import ProductFeatures
from federation.model import Model
from federation.tensors import Tensors
from federation.training import train
from federation.wire import from_record
from server.exchange import Client, Mailbox, Node

ENVELOPE = Metadata(0, "", 0, 0, "", "", 0.0, 3600.0, MessageType.TRAIN)
"""Who a message is from and to; the coordinator looks at its content only."""


@dataclass
class LocalClient:
    """One client whose products are encoded already; several may share a model, as each loads the state first."""

    name: str
    products: ProductFeatures
    model: Model
    faults: SimulationFaults = NO_FAULTS
    learned: list[Contribution] = field(default_factory=list)
    """One for each answer, without the delta: figures only."""
    _residuals: dict[int, Tensors] = field(default_factory=dict)

    def answer(self, content: RecordDict) -> RecordDict:
        """What `clients.app.train` answers to the same message."""
        began = time.perf_counter()
        task = read_task(content)
        config, faults = task.config, Faults(self.faults, self.name, task.round, task.attempt)
        state = from_record(content.array_records["arrays"], like=self.model.state(), encoding=config.encoding_down)
        self.model.load(state)
        products, seed = faults.products(self.products), training_seed(config.seed, self.name, task.round)
        update = train(self.model, products, config=config, round_number=task.round, seed=seed)
        arrays, residual = compress(faults.delta(update.delta), self._residual(task.round), encoding=config.encoding)
        if config.encoding != "fp32":
            self._residuals[task.round] = residual
        spent = time.perf_counter() - began
        learned = Contribution({}, update.loss, update.examples, len(self.products), {}, 0.0, spent)
        self.learned.append(learned)
        return update_message(as_sent(arrays, faults) if faults.attack else arrays, task, learned)

    @property
    def seconds(self) -> float:
        """Spent so far."""
        return sum(learned.train_seconds for learned in self.learned)

    def _residual(self, round_number: int) -> Tensors | None:
        """What the last round before this one left out."""
        earlier = [number for number in self._residuals if number < round_number]
        return self._residuals[max(earlier)] if earlier else None


class LocalMailbox(Mailbox):
    """A run's messages, answered when the coordinator waits for them."""

    def __init__(self, clients: Mapping[str, LocalClient]) -> None:
        self._clients = clients

    def nodes(self) -> list[Node]:
        """All are online, always."""
        return [Node(number, name, "") for number, name in enumerate(self._clients)]

    def ask(
        self, clients: Sequence[Client], content: RecordDict, **_: Any
    ) -> Iterator[tuple[Client, Message | None, str]]:
        """Each client with its reply, in this order."""
        for client in clients:
            yield client, make_message(ENVELOPE, self._clients[client.name].answer(content)), ""

    def count_late(self) -> int:
        """None ever is."""
        return 0
