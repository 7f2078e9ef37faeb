"""A federation's clients in this process: what their ClientApps do, without Flower between them and the coordinator."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from flwr.app import Message, MessageType, Metadata, RecordDict
from flwr.app.message import make_message

from clients.app import as_sent, read_task, update_message
from clients.carried import Carried
from clients.faults import NO_FAULTS, Faults
from clients.learning import Contribution, Task, training_seed
from core.settings import SimulationFaults
from federation.error_feedback import compress
from federation.features import ProductFeatures
from federation.model import Model
from federation.tensors import Tensors
from federation.training import LocalUpdate, train
from federation.wire import from_record
from server.exchange import Client, Content, Mailbox, Node

ENVELOPE = Metadata(0, "", 0, 0, "", "", 0.0, 3600.0, MessageType.TRAIN)
"""Who a message is from and to; the coordinator looks at its content only."""


class Known:
    """What clients learned in earlier runs: the same training from the same state is not done twice.

    Runs that differ in what happens to the updates only have their first round in common, and often more.
    """

    def __init__(self, most: int = 600) -> None:
        self._updates: OrderedDict[str, LocalUpdate] = OrderedDict()
        self._most = most

    def get(self, key: str, learn: Callable[[], LocalUpdate]) -> LocalUpdate:
        """The update of ``key``, learned now where it is not known; the one that was used least lately is forgotten."""
        update = self._updates.pop(key, None) or learn()
        self._updates[key] = update
        if len(self._updates) > self._most:
            self._updates.popitem(last=False)
        return update


@dataclass
class LocalClient:
    """One client whose products are encoded already; several may share a model, as each loads the state first."""

    name: str
    products: ProductFeatures
    model: Model
    faults: SimulationFaults = NO_FAULTS
    known: Known | None = None
    learned: list[Contribution] = field(default_factory=list)
    """One for each answer, without the delta: figures only."""
    _carried: dict[int, Carried] = field(default_factory=dict)

    def answer(self, content: RecordDict) -> RecordDict:
        """What `clients.app.train` answers to the same message."""
        began = time.perf_counter()
        task = read_task(content)
        config, faults = task.config, Faults(self.faults, self.name, task.round, task.attempt)
        state = from_record(content.array_records["arrays"], like=self.model.state(), encoding=config.encoding_down)
        carried = self._before(task.round)
        update = self._learn(state, carried.moments, task, faults)
        delta, bound = faults.delta(update.delta), config.update_bound
        arrays, residual = compress(delta, carried.residual, encoding=config.encoding, bound=bound)
        self._carried[task.round] = Carried(residual if config.encoding != "fp32" else {}, update.moments)
        # A round that is repeated needs what the one before it left; sixty rounds of moments would be gigabytes.
        for old in sorted(self._carried)[:-2]:
            del self._carried[old]
        spent = time.perf_counter() - began
        learned = Contribution({}, update.loss, update.examples, len(self.products), {}, {}, 0.0, spent)
        self.learned.append(learned)
        return update_message(as_sent(arrays, faults) if faults.attack else arrays, task, learned)

    @property
    def seconds(self) -> float:
        """Spent so far."""
        return sum(learned.train_seconds for learned in self.learned)

    def _learn(self, state: Tensors, moments: Tensors, task: Task, faults: Faults) -> LocalUpdate:
        def learn() -> LocalUpdate:
            self.model.load(state)
            seed = training_seed(task.config.seed, self.name, task.round)
            products = faults.products(self.products)
            return train(self.model, products, config=task.config, round_number=task.round, seed=seed, moments=moments)

        if self.known is None:
            return learn()
        # Of an attack, only what is done to the products changes what is learned.
        swapped = faults.attack if faults.attack == "label_swap" else None
        about = (self.name, len(self.products), task.round, swapped, replace(task.config, strategy="fedavg"))
        digest = hashlib.sha256(repr(about).encode())
        for array in (*state.values(), *moments.values()):
            digest.update(np.ascontiguousarray(array).data)
        return self.known.get(digest.hexdigest(), learn)

    def _before(self, round_number: int) -> Carried:
        """What the last round before this one left."""
        earlier = [number for number in self._carried if number < round_number]
        return self._carried[max(earlier)] if earlier else Carried()


class LocalMailbox(Mailbox):
    """A run's messages, answered when the coordinator waits for them."""

    def __init__(self, clients: Mapping[str, LocalClient]) -> None:
        self._clients = clients

    def nodes(self) -> list[Node]:
        """All are online, always."""
        return [Node(number, name, "") for number, name in enumerate(self._clients)]

    def ask(
        self, clients: Sequence[Client], content: Content, **_: Any
    ) -> Iterator[tuple[Client, Message | None, str]]:
        """Each client with its reply, in this order."""
        for client in clients:
            told = content(client) if callable(content) else content
            yield client, make_message(ENVELOPE, self._clients[client.name].answer(told)), ""

    def late(self) -> list[str]:
        """None ever is."""
        return []
