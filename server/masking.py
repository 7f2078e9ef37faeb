"""One attempt at a confidential round, in four stages; any client may be gone after any of them.

    advertise keys → share secrets → train and mask → reveal

Who is gone before its masked update arrived is left out of the sum, and who is gone later is not. Where fewer are left
than the threshold, the attempt ends and nothing of it is kept; the round is then tried again with fresh keys, like any
round without a quorum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from core.errors import TejidoError
from core.logs import about
from federation.errors import UnmaskingFailed
from federation.masking.grid import SumGrid
from federation.masking.keys import PublicKeys
from federation.masking.messages import (
    read_public,
    read_revealed,
    read_sealed,
    told_left,
    told_participants,
    told_sealed,
)
from federation.masking.participant import Revealed
from federation.masking.session import Session, threshold_of
from federation.masking.unmasking import Unmasking
from federation.strategies import Strategy
from federation.wire import ArrayRecord, record_bytes, to_record
from server.exchange import (
    ADVERTISING,
    MASKING,
    REVEALING,
    SHARING,
    Client,
    Content,
    Mailbox,
    Message,
    RecordDict,
    Reply,
    RoundTask,
    read_reply,
)
from server.masked_sum import MaskedSum
from server.validation import Rules

SHORT = 5
"""A stage without training waits for the fifth part of a round's deadline."""
log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass
class MaskedAttempt:
    """What one attempt is about, and what is known of it so far."""

    rules: Rules
    mailbox: Mailbox
    strategy: Strategy
    needed: int
    """Updates that the round needs."""
    sent_to: Counter[str]
    """Client → bytes of the state as sent to it."""
    tell: Callable[[Sequence[Client], int], None]
    """Told, while clients train, who was asked and how many were heard."""
    before_unmasking: Callable[[int], None] = field(default=lambda _: None, init=False)
    """Told the round's number before its sum can be known."""
    keys: dict[str, PublicKeys] = field(default_factory=dict, init=False)
    threshold: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.total = MaskedSum(self.rules, self.strategy)

    def play(self, clients: Sequence[Client]) -> MaskedSum:
        """The sum over those whose updates count; of nobody's, with the reasons, where too few were left."""
        try:
            self._stages(clients)
        except UnmaskingFailed as failed:
            log.warning("a masked sum is given up", reason=str(failed))
            self.total.give_up(f"The round's sum was given up: {failed}")
            self._note("given_up", str(failed))
        return self.total

    def _stages(self, clients: Sequence[Client]) -> None:
        task = self.rules.task
        self.keys = dict(
            self._heard(clients, task.question(), ADVERTISING, lambda reply: read_public(_of(reply, "keys")))
        )
        self.threshold = threshold_of(len(self.keys), needed=self.needed)
        self._note("threshold", self.threshold)
        clients = self._left("advertised", clients, self.keys)

        question = task.question(participants=told_participants(self.keys, self.threshold))
        sealed = dict(self._heard(clients, question, SHARING, self._read_shares))
        clients = self._left("shared", clients, sealed)

        self._masked_updates(clients, sealed)
        survivors = self.total.survivors
        clients = self._left("masked", clients, survivors)

        dropped = tuple(sorted(set(sealed) - set(survivors)))
        self.before_unmasking(task.round)
        question = task.question(left=told_left(survivors, dropped))
        revealed: dict[str, Revealed] = dict(
            self._heard(
                clients, question, REVEALING, lambda reply: read_revealed(_of(reply, "revealed"), survivors, dropped)
            )
        )
        self._left("revealed", clients, revealed)
        session = Session(task.run, task.round, task.attempt)
        grid = SumGrid.of(task.config, participants=len(self.keys), threshold=self.threshold)
        self.total.unmask(Unmasking(session, self.keys, survivors, dropped, self.threshold), revealed, grid)

    def _masked_updates(self, clients: Sequence[Client], sealed: Mapping[str, Mapping[str, bytes]]) -> None:
        task = self.rules.task
        arrays = to_record(self.rules.state, encoding=task.config.encoding_down)
        size = record_bytes(arrays)
        self.sent_to.update({client.name: size for client in clients})
        replies = self._ask(clients, _state_and_shares(task, arrays, sealed), MASKING)
        # The copy of the state that is sent shall not stay in memory while the replies come in.
        del arrays
        self.tell(clients, 0)
        for heard, (client, message, reason) in enumerate(replies, start=1):
            with about(client=client.name):
                self.total.take(read_reply(client, message, reason))
            if client.name not in self.total.coverage:
                self._dropped[client.name] = f"{_stage(MASKING)}: {self.total.contributions[client.name].reason}"
            self.tell(clients, heard)

    def _read_shares(self, reply: Reply) -> dict[str, bytes]:
        sealed = read_sealed(_of(reply, "shares"))
        if set(sealed) != set(self.keys) - {reply.client}:
            raise UnmaskingFailed("It sealed shares for others than it was asked to.")
        return sealed

    def _heard(
        self, clients: Sequence[Client], content: Content, kind: str, read: Callable[[Reply], T]
    ) -> Iterator[tuple[str, T]]:
        """Ask, and yield what each client says that says something sensible; the others have dropped out."""
        for client, message, reason in self._ask(clients, content, kind):
            reply = read_reply(client, message, reason)
            with about(client=client.name):
                try:
                    if reply.failure:
                        raise UnmaskingFailed(reply.failure)
                    found = read(reply)
                except TejidoError as error:
                    self._drop(reply, kind, str(error))
                    continue
            yield client.name, found

    def _drop(self, reply: Reply, kind: str, reason: str) -> None:
        log.warning("a client drops out of a confidential round", stage=_stage(kind), reason=reason)
        self._dropped[reply.client] = f"{_stage(kind)}: {reason}"
        # Who drops out when all is masked has its update in the sum.
        if kind == REVEALING:
            return
        if reply.is_silent:
            self.total.miss(reply.client, reason)
        else:
            self.total.reject(reply.client, reason)

    def _ask(
        self, clients: Sequence[Client], content: Content, kind: str
    ) -> Iterator[tuple[Client, Message | None, str]]:
        task = self.rules.task
        deadline_s = task.config.deadline_s / (1 if kind == MASKING else SHORT)
        group = f"{task.round}.{task.attempt}"
        return self.mailbox.ask(clients, content, kind=kind, group=group, deadline_s=deadline_s)

    def _left(self, stage: str, clients: Sequence[Client], names: Sequence[str] | Mapping[str, object]) -> list[Client]:
        """Those that are still there.

        Raises:
            UnmaskingFailed: too few; who would have gone on did nothing wrong, and is not asked any more.
        """
        left = [client for client in clients if client.name in names]
        self._note(stage, len(left))
        if len(left) < self.threshold:
            reason = f"{len(left)} clients have {stage}, {self.threshold} are needed."
            if stage == "revealed":
                lost = [f"{client.name}, {self._dropped[client.name]}" for client in clients if client not in left]
                reason = f"{reason} Who did not: {'; '.join(lost)}"
            for client in left:
                if client.name not in self.total.coverage:
                    self.total.miss(client.name, f"not asked further: {reason}")
            raise UnmaskingFailed(reason)
        return left

    def _note(self, name: str, value: int | str) -> None:
        self.total.masking[name] = value

    @property
    def _dropped(self) -> dict[str, str]:
        """Client → at which stage it dropped out, and why."""
        dropped: dict[str, str] = self.total.masking.setdefault("dropped", {})
        return dropped


def _state_and_shares(task: RoundTask, arrays: ArrayRecord, sealed: Mapping[str, Mapping[str, bytes]]) -> Content:
    """What each client is sent before it trains: the state, and what the others sealed for it."""

    def content(client: Client) -> RecordDict:
        shares = {sender: found[client.name] for sender, found in sealed.items() if sender != client.name}
        return task.question(arrays=arrays, shares=told_sealed(shares))

    return content


def _stage(kind: str) -> str:
    """``query.masking_keys`` → ``keys``."""
    return kind.split(".")[-1].removeprefix("masking_")


def _of(reply: Reply, record: str) -> Mapping[str, object]:
    return reply.records.get(record, {})
