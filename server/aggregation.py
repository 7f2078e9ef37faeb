"""One attempt at a round, reply by reply: validate, add to the sum; what is wrong is counted, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from core.errors import TejidoError
from federation.strategies import Strategy
from federation.tensors import Tensors
from federation.wire import record_bytes
from server.contributions import Contribution
from server.memory import Memory
from server.validation import Coverage, MaskedUpdate, Rules, ValidUpdate

if TYPE_CHECKING:
    from server.exchange import Reply

log = structlog.get_logger(__name__)


@dataclass
class RoundSum:
    """Memory holds what the strategy keeps (for a mean: one sum) and one update, however many clients there are."""

    rules: Rules
    strategy: Strategy
    rejections: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    """The longest that a client took to encode and train, by its own word."""
    norms: dict[str, float] = field(default_factory=dict)
    paces: dict[str, float] = field(default_factory=dict)
    coverage: dict[str, Coverage] = field(default_factory=dict)
    contributions: dict[str, Contribution] = field(default_factory=dict)
    """What came of each client that was chosen."""
    masking: dict[str, Any] = field(default_factory=dict)
    """How a confidential attempt went, stage by stage; empty in a robust run."""
    _digests: list[str] = field(default_factory=list)
    _loss: float = 0.0
    _examples: int = 0

    def __post_init__(self) -> None:
        self.strategy.begin()

    def take(self, reply: Reply) -> None:
        """Count one client's update, or reject it."""
        if reply.is_silent:
            log.warning("a client sent no reply", reason=reply.failure)
            self.miss(reply.client, reply.failure)
            return
        sent = record_bytes(reply.arrays) if reply.arrays else 0
        try:
            self._count(reply, sent)
        except TejidoError as error:
            log.warning("an update does not count", code=error.code, reason=str(error))
            self.reject(reply.client, str(error), bytes_up=sent)

    def miss(self, client: str, reason: str) -> None:
        """Note that a client which was chosen sent nothing."""
        self.silent.append(f"{client}: {reason}")
        self.contributions[client] = Contribution.silent(reason)

    def reject(self, client: str, reason: str, *, bytes_up: int = 0) -> None:
        """Note that what a client sent does not count."""
        self.rejections.append(f"{client}: {reason}")
        self.contributions[client] = Contribution.rejected(reason, bytes_up=bytes_up)

    def _count(self, reply: Reply, sent: int) -> None:
        """Add a client's update; raises UpdateRejected where it does not count."""
        valid = self.rules.check(reply, accepted=self._digests)
        self.strategy.add(valid.update, examples=valid.coverage.trained)
        self.norms[valid.client] = valid.norm
        self.paces[valid.client] = valid.pace
        self._digests.append(valid.digest)
        self._note(valid, sent)
        numbers = {"norm": round(valid.norm, 4), "loss": round(valid.loss, 4)}
        log.info("an update counts", products=valid.coverage.trained, **numbers)

    def _note(self, valid: ValidUpdate | MaskedUpdate, sent: int) -> None:
        """Keep what a client said of an update that counts."""
        examples = valid.coverage.trained
        self.contributions[valid.client] = Contribution.accepted(valid, bytes_up=sent)
        self.coverage[valid.client] = valid.coverage
        self.slowest_s = max(self.slowest_s, valid.seconds)
        self._loss += valid.loss * examples
        self._examples += examples

    @property
    def replies(self) -> int:
        """Updates that count."""
        return len(self.coverage)

    @property
    def bytes_up(self) -> int:
        """As sent, by all."""
        return sum(found.bytes_up for found in self.contributions.values())

    @property
    def loss(self) -> float:
        """Mean loss over the products behind the updates that counted."""
        return self._loss / self._examples if self._examples else float("nan")

    def new_state(self) -> Tensors:
        """The global state after this round; call it once."""
        return self.strategy.finish(self.rules.state)

    def memory(self) -> Memory:
        """What the run remembers after this round."""
        return self.rules.memory.after(zip(self.paces.values(), self._digests, strict=True))
