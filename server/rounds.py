"""One round: ask the chosen clients, add what they send in the order of their names, try again without a quorum."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from core.logs import about
from federation.strategies import Strategy
from federation.tensors import Tensors
from federation.wire import record_bytes, to_record
from server.aggregation import RoundSum
from server.errors import QuorumMissed
from server.exchange import TRAINING, Client, Mailbox, RoundTask, read_reply
from server.gathering import Roster
from server.masking import MaskedAttempt
from server.memory import Memory
from server.validation import Rules, outliers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from federation.config import FederationConfig

TELL_EVERY_S = 1.0
log = structlog.get_logger(__name__)


@dataclass
class Outcome:
    """What the attempts at one round came to; the last one counts."""

    total: RoundSum
    asked: int
    """Clients that were chosen."""
    attempts: int
    late: list[str]
    """Whose replies came after their deadline, in this or an earlier round, since the last report."""
    sent_to: Counter[str]
    """Client → bytes of the state as sent to it, over all attempts."""
    rejections: list[str]
    """Of all attempts."""

    @property
    def bytes_down(self) -> int:
        """As sent, to all."""
        return self.sent_to.total()


@dataclass
class Rounds:
    """Plays the rounds of one run."""

    run: str
    mailbox: Mailbox
    roster: Roster
    strategy: Strategy
    before_unmasking: Callable[[int], None] = lambda _: None
    """Told the number of a confidential round whose sum is about to be known; may refuse."""
    _late: list[str] = field(default_factory=list, init=False)
    _told: float = field(default=0.0, init=False)

    def play(self, state: Tensors, memory: Memory, *, round_number: int) -> Outcome:
        """Send the state to the chosen clients and collect their updates until all are here or the deadline passes.

        An attempt without a quorum is repeated from the same state, ``round_retries`` times. So is, once, an attempt in
        which an update stands out from the others while no earlier ones were known to hold it against: now some are.
        What an attempt took in is forgotten when it is repeated.

        Raises:
            QuorumMissed: fewer valid updates than the quorum in the last attempt; names the reasons.
        """
        earlier: list[str] = []
        reference: tuple[float, ...] = ()
        sent_to: Counter[str] = Counter()
        failures, attempt = 0, 0
        while True:
            attempt += 1
            chosen, clients = self.roster.invite(round_number)
            self._late += self.mailbox.late()
            rules = Rules(self._task(round_number, attempt), state, self.roster.expected.products, memory, reference)
            with about(round=round_number, attempt=attempt):
                total = self._attempt(rules, chosen, clients, sent_to)
            needed = self._config.replies_needed(len(chosen))
            if total.replies < needed:
                failures += 1
                if failures > self._config.round_retries:
                    raise self._quorum_missed(total, round_number, chosen=len(chosen), needed=needed)
                reasons = total.rejections + total.silent
                log.warning("a round is tried again", round=round_number, attempt=attempt, reasons=reasons)
            elif reference or memory.is_enough or not self._stand_out(total):
                late, self._late = self._late, []
                return Outcome(total, len(chosen), attempt, late, sent_to, earlier + total.rejections)
            else:
                reference = tuple(total.paces.values())
            earlier += [f"attempt {attempt}: {reason}" for reason in total.rejections]

    def _attempt(
        self, rules: Rules, chosen: Sequence[str], clients: Sequence[Client], sent_to: Counter[str]
    ) -> RoundSum:
        """Ask ``clients``, and add to ``sent_to`` the bytes for each; returns the sum over their valid updates."""
        if self._config.is_confidential:
            needed = self._config.replies_needed(len(chosen))
            masked = MaskedAttempt(rules, self.mailbox, self.strategy, needed, sent_to, self._tell)
            masked.before_unmasking = self.before_unmasking
            _miss(masked.total, chosen, clients)
            return masked.play(clients)
        total = RoundSum(rules, self.strategy)
        _miss(total, chosen, clients)
        content = rules.task.content(to_record(rules.state, encoding=self._config.encoding_down))
        size = record_bytes(content.array_records["arrays"])
        sent_to.update({client.name: size for client in clients})
        group, deadline_s = f"{rules.task.round}.{rules.task.attempt}", self._config.deadline_s
        replies = self.mailbox.ask(clients, content, kind=TRAINING, group=group, deadline_s=deadline_s)
        # The copy of the state that was sent shall not stay in memory while the replies come in.
        del content
        self._tell(clients, 0)
        for heard, (client, message, reason) in enumerate(replies, start=1):
            with about(client=client.name):
                total.take(read_reply(client, message, reason))
            self._tell(clients, heard)
        return total

    def _tell(self, clients: Sequence[Client], heard: int) -> None:
        """Say how far the round is, every second at most: each word is an S3 put."""
        if 0 < heard < len(clients) and time.monotonic() - self._told < TELL_EVERY_S:
            return
        self._told = time.monotonic()
        waiting = [client.name for client in clients[heard:]]
        self.roster.say("rounds", message=f"heard {heard} of {len(clients)} clients", waiting_for=waiting)

    def _stand_out(self, total: RoundSum) -> bool:
        # Where the run is private, one update may not decide whether another counts: see validation.py.
        if self._config.counts_alike:
            return False
        found = outliers(total.paces, norm_bound=self._config.norm_bound)
        if found:
            log.warning("updates stand out: the first round is repeated with the norms it had", clients=found)
        return bool(found)

    def _task(self, round_number: int, attempt: int) -> RoundTask:
        expected = self.roster.expected
        return RoundTask(self.run, round_number, attempt, expected.catalogue_version, expected.base_hash, self._config)

    def _quorum_missed(self, total: RoundSum, round_number: int, *, chosen: int, needed: int) -> QuorumMissed:
        return QuorumMissed(
            f"Round {round_number}: {total.replies} of {chosen} updates count, {needed} are needed. "
            f"{'; '.join([*total.rejections, *total.silent])}.",
            hint="Look at those clients' logs; the last complete round is kept.",
        )

    @property
    def _config(self) -> FederationConfig:
        return self.roster.config


def _miss(total: RoundSum, chosen: Sequence[str], clients: Sequence[Client]) -> None:
    """Note who was chosen and cannot be asked."""
    online = {client.name for client in clients}
    for name in chosen:
        if name not in online:
            total.miss(name, "not online")
