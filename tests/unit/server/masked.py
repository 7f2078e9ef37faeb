"""Five clients of a confidential run that answer by the clients' own code, but for the training; and all they send."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from clients.masking import accepted, advertise, masked, reveal, share
from clients.promises import Promises
from core.errors import TejidoError
from federation.config import FederationConfig
from federation.evaluation import Retrieval
from federation.privacy.clipping import clip
from federation.strategies import new_strategy
from federation.tensors import Tensors
from security.receipt_keys import ReceiptKey
from server.exchange import ADVERTISING, MASKING, REVEALING, SHARING, Mailbox
from server.gathering import Roster
from server.memory import Memory
from server.reports import RoundReport, round_report
from server.rounds import Outcome, Rounds
from server.selection import Expected
from tests.unit.server.federation import ECHOED, RUN, crashing, quiet, told
from tests.unit.server.grid import FakeGrid

STAGES = (ADVERTISING, SHARING, MASKING, REVEALING)
NAMES = {1: "aurora", 2: "boreal", 3: "cobre", 4: "duna", 5: "espiga"}
EXPECTED = Expected("v1", "b" * 64, dict.fromkeys(NAMES.values(), 10))
STATE: Tensors = {
    "image.weight": np.linspace(-1, 1, 4800, dtype=np.float32).reshape(60, 80),
    "text.weight": np.linspace(1, -1, 1200, dtype=np.float32).reshape(40, 30),
    "log_scale": np.array(2.0, np.float32),
}
CONFIG = FederationConfig(
    preset="tiny", mode="confidential", clip_norm=1.0, local_epochs=30, deadline_s=0.5, wait_s=0.2, round_retries=0
)
Answer = Callable[[Message], Message | None]
SIZE = sum(array.size for array in STATE.values())


def learned(name: str, round_number: int = 1, *, scale: float = 0.03) -> Tensors:
    """What a client learns in a round: some longer than the clip norm, some shorter."""
    generator = np.random.default_rng([round_number, *name.encode()])
    factor = scale if name < "c" else scale / 10
    return {key: (factor * generator.standard_t(3, array.shape)).astype(np.float32) for key, array in STATE.items()}


@dataclass
class Merchant:
    """One client; its context outlives a message, and nothing else does."""

    name: str
    promises: Promises
    gone: dict[str, Answer] = field(default_factory=dict)
    """Message type → what it does in place of answering it."""
    learns: Callable[[str, int], Tensors] = learned
    key: ReceiptKey | None = None
    context: Context = field(
        default_factory=lambda: Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    )
    terms: list[Any] = field(default_factory=list)

    def __call__(self, message: Message) -> Message | None:
        kind = message.metadata.message_type
        if kind in self.gone:
            return self.gone[kind](message)
        return self.answer(message)

    def answer(self, message: Message) -> Message:
        """As the ClientApp does."""
        try:
            content = self._content(message)
        except TejidoError as error:
            content = RecordDict({"refusal": ConfigRecord(dict(error.as_dict()))})
        return Message(content, reply_to=message)

    def _content(self, message: Message) -> RecordDict:
        kind = message.metadata.message_type
        if kind == ADVERTISING:
            return advertise(message, self.context, self.name, self.key)
        if kind == SHARING:
            return share(message, self.context, self.promises)
        if kind == REVEALING:
            return reveal(message, self.context, self.promises)
        values, participant = told(message), accepted(message, self.context)
        config = FederationConfig.from_run_config(values)
        arrays = masked(participant, self.learns(self.name, values["round"]), config, self.context, self.promises)
        said: dict[str, int | float | list[int] | list[float]] = {
            "num-examples": 10,
            "held": 10,
            "loss": 1.0,
            "encode-seconds": 0.0,
            "train-seconds": 0.01,
        }
        receipt = ConfigRecord({name: values[name] for name in ECHOED})
        return RecordDict({"arrays": arrays, "metrics": MetricRecord(said), "receipt": receipt})


@dataclass
class Market:
    """A grid of five such clients that keeps every reply, as a curious coordinator would."""

    folder: Path
    merchants: dict[str, Merchant] = field(init=False)
    received: list[tuple[str, Message]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.merchants = {name: Merchant(name, Promises(self.folder / name)) for name in NAMES.values()}
        self.grid = FakeGrid({node: self._recorded(name) for node, name in NAMES.items()}, dict(NAMES))

    def _recorded(self, name: str) -> Answer:
        def answer(message: Message) -> Message | None:
            reply = self.merchants[name](message)
            if reply is not None and reply.has_content():
                self.received.append((name, reply))
            return reply

        return answer

    def leave(self, names: Collection[str], stage: str, how: Answer = crashing) -> None:
        """From this stage on these clients are gone."""
        for name in names:
            self.merchants[name].gone |= dict.fromkeys(STAGES[STAGES.index(stage) :], how)

    def rounds(self, config: FederationConfig = CONFIG) -> Rounds:
        """Rounds of a run whose clients were admitted already."""
        roster = Roster(Mailbox(self.grid), config, EXPECTED, quiet, admitted=set(EXPECTED.products))
        return Rounds(RUN, roster.mailbox, roster, new_strategy(config))


def play(market: Market, config: FederationConfig = CONFIG, *, round_number: int = 1) -> Outcome:
    return market.rounds(config).play(STATE, Memory(), round_number=round_number)


def flat(tensors: Tensors) -> np.ndarray:
    return np.concatenate([tensors[name].ravel().astype(np.float64) for name in sorted(tensors)])


def plain_mean(names: Any, *, clip_norm: float = 1.0) -> np.ndarray:
    """Of the clipped updates of these clients, all alike."""
    return np.asarray(np.mean([flat(clip(learned(name), clip_norm * (1 - 1e-5))) for name in names], axis=0))


def moved(outcome: Outcome) -> np.ndarray:
    return np.asarray(flat(outcome.total.new_state()) - flat(STATE))


def counted(outcome: Outcome) -> set[str]:
    return {name for name, found in outcome.total.contributions.items() if found.fate == "accepted"}


def report_of(outcome: Outcome) -> RoundReport:
    value = np.ones(1)
    val = Retrieval(1, value, value, value)
    return round_report(1, outcome, val, recall_by_client={}, seconds=1.0, evaluation_s=0.0)


def asked(kind: str, round_number: int = 1, attempt: int = 1, **records: Mapping[str, Any]) -> Message:
    """A message such as a coordinator could send, whatever it wants with it."""
    values = CONFIG.to_run_config() | {
        "run": RUN, "round": round_number, "attempt": attempt, "catalogue-version": "v1", "base-hash": "b" * 64,
    }  # fmt: skip
    content = RecordDict({"config": ConfigRecord(dict(values))})
    for name, record in records.items():
        content[name] = ConfigRecord(dict(record))
    return Message(content, dst_node_id=1, message_type=kind, group_id="1")


def coordinate(line: Connection) -> None:
    """In a process of its own: one round, with clients at the other end of the line; then wait to be looked at."""
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1

    def calling(node: int) -> Answer:
        def answer(message: Message) -> Message:
            line.send((node, message.metadata.message_type, message.content))
            return Message(line.recv(), reply_to=message)

        return answer

    grid = FakeGrid({node: calling(node) for node in NAMES}, dict(NAMES))
    roster = Roster(Mailbox(grid), CONFIG, EXPECTED, quiet, admitted=set(EXPECTED.products))
    outcome = Rounds(RUN, roster.mailbox, roster, new_strategy(CONFIG)).play(STATE, Memory(), round_number=1)
    state = outcome.total.new_state()
    line.send((0, "done", state))
    line.recv()
    # Until here nothing of it is given back.
    del outcome, state, grid
