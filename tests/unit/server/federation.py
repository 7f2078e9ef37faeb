"""A small federation for the coordinator's tests: three clients, a tiny state, nodes that answer as they are told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MessageType, MetricRecord, RecordDict

from federation.config import FederationConfig
from federation.strategies import new_strategy
from federation.tensors import Tensors
from federation.wire import from_record
from server.exchange import Client, Mailbox, Node
from server.gathering import Roster
from server.memory import Memory
from server.rounds import Outcome, Rounds
from server.selection import Expected
from tests.unit.server.grid import Answer, FakeGrid

RUN = "run-1"
CONFIG = FederationConfig(preset="tiny", local_epochs=30, deadline_s=0.2, wait_s=0.2, round_retries=0)
STATE: Tensors = {
    "image.weight": np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6),
    "text.weight": np.linspace(1, -1, 12, dtype=np.float32).reshape(4, 3),
    "log_scale": np.array(2.0, np.float32),
}
EXPECTED = Expected("v1", "b" * 64, {"aurora": 10, "boreal": 20, "cobre": 30})
NAMES = {1: "aurora", 2: "boreal", 3: "cobre"}
CLIENTS = [Client(name, Node(node, name, "")) for node, name in NAMES.items()]
ECHOED = ("run", "round", "attempt", "base-hash", "encoding")
SETTLED = Memory(paces=(0.03,) * 10)
"""Of a run that has accepted updates of about the size that `honest` sends."""


def quiet(stage: str, **more: Any) -> None:
    """Nobody listens."""


def told(message: Message) -> Mapping[str, Any]:
    """What a node was told in a task."""
    return dict(message.content.config_records["config"])


def constant(value: float) -> Tensors:
    return {name: np.full_like(array, value) for name, array in STATE.items()}


def honest(name: str, message: Message) -> Tensors:
    """A delta that a client, the round and the state decide, as real training does."""
    seed = hashlib.sha256(f"{name}/{told(message)['round']}".encode()).digest()
    generator = np.random.default_rng(list(seed))
    state = from_record(message.content.array_records["arrays"], like=STATE)
    return {
        key: np.asarray(generator.normal(scale=0.02, size=array.shape) - 0.01 * array, np.float32)
        for key, array in state.items()
    }


def packed(tensors: Tensors) -> ArrayRecord:
    """For a message, as fp32; unlike our own packing it sends whatever it is given."""
    return ArrayRecord({name: Array(np.asarray(array, order="C")) for name, array in tensors.items()})


def update(
    delta: Tensors | Callable[[Message], Tensors],
    *,
    held: Any = 10,
    metrics: Mapping[str, Any] | None = None,
    receipt: Mapping[str, Any] | None = None,
) -> Answer:
    """A node that answers with this delta; ``metrics`` and ``receipt`` replace what an honest client would say."""

    def answer(message: Message) -> Message:
        values = told(message)
        said = {"num-examples": held, "held": held, "loss": 1.0, "encode-seconds": 0.0, "train-seconds": 0.01}
        due = {name: values[name] for name in ECHOED}
        content = RecordDict(
            {
                "arrays": packed(delta(message) if callable(delta) else delta),
                "metrics": MetricRecord(said | dict(metrics or {})),
                "receipt": ConfigRecord(due | dict(receipt or {})),
            }
        )
        return Message(content, reply_to=message)

    return answer


def training(name: str) -> Answer:
    """The node of an honest client."""
    return update(lambda message: honest(name, message), held=EXPECTED.products[name])


def refusing(message: Message) -> Message:
    refusal = ConfigRecord({"code": "clients.partition_stale", "message": "Too old.", "hint": ""})
    return Message(RecordDict({"refusal": refusal}), reply_to=message)


def forbidding(message: Message) -> Message:
    """A client whose own policy does not allow it."""
    told: dict[str, Any] = {
        "code": "security.policy_refused",
        "message": 'The policy refuses, rule "hours".',
        "hint": "",
    }
    return Message(RecordDict({"refusal": ConfigRecord(dict(told))}), reply_to=message)


def crashing(message: Message) -> Message:
    trace = 'Traceback (most recent call last):\n  File "app.py", line 1\nit crashed\n'
    return Message(Error(code=1, reason=trace), reply_to=message)


def silent(message: Message) -> None:
    return None


def empty(message: Message) -> Message:
    return Message(RecordDict({}), reply_to=message)


def describing(client: str, **changes: Any) -> Answer:
    """A node that answers the preflight as ``client``."""
    known: dict[str, Any] = {
        "client": client,
        "products": EXPECTED.products.get(client, 1),
        "catalogue-version": EXPECTED.catalogue_version,
        "base-hash": EXPECTED.base_hash,
    }

    def answer(message: Message) -> Message:
        return Message(RecordDict({"description": ConfigRecord(known | changes)}), reply_to=message)

    return answer


def whole(name: str, train: Answer | None = None) -> Answer:
    """A node that answers the preflight and trains."""
    answers = {MessageType.QUERY: describing(name), MessageType.TRAIN: train or training(name)}
    return lambda message: answers[message.metadata.message_type](message)


def roster(grid: FakeGrid, *, config: FederationConfig = CONFIG, **more: Any) -> Roster:
    return Roster(Mailbox(grid), config, EXPECTED, more.pop("say", quiet), **more)


def rounds(grid: FakeGrid, *, config: FederationConfig = CONFIG, **more: Any) -> Rounds:
    """Rounds of a run whose clients were admitted already."""
    who = roster(grid, config=config, admitted=set(EXPECTED.products), **more)
    return Rounds(RUN, who.mailbox, who, new_strategy(config))


def one_round(
    *answers: Answer, config: FederationConfig = CONFIG, memory: Memory = SETTLED, state: Tensors = STATE
) -> Outcome:
    """The first round, with aurora, boreal and cobre answering like this."""
    grid = FakeGrid(dict(enumerate(answers, start=1)), NAMES)
    return rounds(grid, config=config).play(state, memory, round_number=1)
