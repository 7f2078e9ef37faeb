"""What an update must be before it counts. Flower itself checks nothing but names.

The norm of an update is held against those of the updates that were accepted before, each divided by the square root of
the optimiser steps behind it: partitions differ a hundredfold in size, and an honest client that takes many small steps
ends further from where it began. `pace` is that quotient. For heads on real products, split by dirichlet(0.1), clients
of 26 to 351 products had norms of 0.93 to 1.60 medians, and paces of 0.78 to 1.07.

While fewer than three paces are known, an update may be as long as AdamW can make it at all (`reachable_norm`), and the
updates of the round are held against each other once all are in: see `outliers`, and rounds.py for what follows.

In a private run whether an update counts may depend on nothing but itself: noise covers what one client's update
changes in the sum, not that another's is left out because of it. There the clip norm is the only bound, and an update
that equals an earlier one counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from federation.config import FederationConfig
from federation.errors import UpdateRejected
from federation.tensors import Tensors, count
from federation.wire import unpack, unpack_lanes
from server.memory import MIN_PACES, Memory

if TYPE_CHECKING:
    from federation.masking.masks import Lanes
    from federation.wire import ArrayRecord, EncodedUpdate
    from server.exchange import Reply, RoundTask

ADAM_STRETCH = 0.1 / math.sqrt(0.001)
"""No element moves further than this many learning rates in a step of Adam (Kingma & Ba 2015, section 2.1)."""
MAX_REASONS = 10
MAX_REASON = 80


@dataclass(frozen=True)
class Coverage:
    """How much of its products a client trained on, and its own words why not on all."""

    trained: int
    held: int
    skipped: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in self.skipped.items())
        said = f"trained on {self.trained:,} of {self.held:,}"
        missing = self.held - self.trained
        return f"{said}; {missing:,} skipped: {reasons or 'no reason given'}" if missing else said


@dataclass(frozen=True)
class ValidUpdate:
    """An update that may count."""

    client: str
    update: EncodedUpdate
    coverage: Coverage
    loss: float
    norm: float
    pace: float
    """Norm per square root of an optimiser step."""
    digest: str
    seconds: float
    """What the client says it took to encode and train; 0 where it says nothing sensible."""


@dataclass(frozen=True)
class MaskedUpdate:
    """An update of a confidential round: what its client says of it, and the update under its masks."""

    client: str
    lanes: Lanes
    coverage: Coverage
    loss: float
    seconds: float


@dataclass(frozen=True)
class Rules:
    """What the updates of one attempt at a round are held against."""

    task: RoundTask
    state: Tensors
    enrolled: Mapping[str, int]
    """Client → number of products that it was given."""
    memory: Memory
    reference: Sequence[float] = ()
    """Paces of an earlier attempt at this round; used while the memory holds too few."""

    def check(self, reply: Reply, *, accepted: Sequence[str] = ()) -> ValidUpdate:
        """Check one reply, cheap things first; nothing is decoded before its size is known to be right.

        Args:
            reply: of a client of `enrolled`.
            accepted: digests of the updates that already count in this attempt.

        Raises:
            UpdateRejected: saying what is wrong.
        """
        arrays, coverage, loss, seconds = self._check_words(reply)
        update = unpack(arrays, like=self.state, encoding=self.task.config.encoding)
        norm, pace = self._check_norm(update, coverage.trained)
        digest = update.digest()
        is_known = digest in self.memory.digests or digest in accepted
        if is_known and not self.task.config.is_private:
            raise UpdateRejected("The same update was accepted before: it is a replay.")
        return ValidUpdate(reply.client, update, coverage, loss, norm, pace, digest, seconds)

    def check_masked(self, reply: Reply) -> MaskedUpdate:
        """Check one reply of a confidential round: all but the update itself, which nobody can see.

        Raises:
            UpdateRejected: saying what is wrong.
        """
        arrays, coverage, loss, seconds = self._check_words(reply)
        return MaskedUpdate(reply.client, unpack_lanes(arrays, size=count(self.state)), coverage, loss, seconds)

    def bound(self, examples: int) -> float:
        """The longest update that may count from a client that trained on ``examples`` products."""
        if self.task.config.is_private:
            return self.task.config.update_bound
        steps = optimiser_steps(self.task.config, examples)
        reach = steps * self._reach
        paces = self.memory.paces if self.memory.is_enough else self.reference
        if len(paces) < MIN_PACES or not median(paces) > 0:
            return reach
        return min(reach, self.task.config.norm_bound * median(paces) * math.sqrt(steps))

    @cached_property
    def _reach(self) -> float:
        return reachable_norm(self.state, self.task.config)

    def _check_words(self, reply: Reply) -> tuple[ArrayRecord, Coverage, float, float]:
        """The arrays, not looked at; and of what the client says, what it trained on, its loss, and the seconds."""
        if reply.failure:
            raise UpdateRejected(reply.failure)
        if reply.arrays is None or not reply.metrics:
            raise UpdateRejected("the reply holds no update")
        self._check_receipt(reply)
        coverage = self._check_coverage(reply)
        loss = reply.metrics.get("loss")
        if not isinstance(loss, float) or not math.isfinite(loss):
            raise UpdateRejected(f"loss is {loss!r}.")
        seconds = sum(_seconds(reply.metrics.get(name)) for name in ("encode-seconds", "train-seconds"))
        return reply.arrays, coverage, loss, seconds

    def _check_receipt(self, reply: Reply) -> None:
        """Insist that the update is about this attempt at this round of this run, from this base."""
        task = self.task
        due: dict[str, object] = {
            "run": task.run,
            "round": task.round,
            "attempt": task.attempt,
            "base-hash": task.base_hash,
            "encoding": task.config.encoding,
        }
        for name, value in due.items():
            found = reply.receipt.get(name)
            # True == 1 to Python.
            if type(found) is not type(value) or found != value:
                raise UpdateRejected(f"It is about {name} {_short(found)}, not {value!r}.")

    def _check_coverage(self, reply: Reply) -> Coverage:
        enrolled, config = self.enrolled[reply.client], self.task.config
        held, examples = reply.metrics.get("held"), reply.metrics.get("num-examples")
        if type(held) is not int or held != enrolled:
            raise UpdateRejected(f"It holds {held!r} products, it enrolled with {enrolled}.")
        # bool is an int to Python, and a float would promote the sum.
        if type(examples) is not int or not 0 < examples <= enrolled:
            raise UpdateRejected(f"num-examples is {examples!r}, the client was given {enrolled} products.")
        coverage = Coverage(examples, held, _skipped(reply.receipt))
        if examples < config.min_coverage * held:
            raise UpdateRejected(f"Coverage is below {config.min_coverage:g}: {coverage}.")
        return coverage

    def _check_norm(self, update: EncodedUpdate, examples: int) -> tuple[float, float]:
        norm = update.norm()
        if not math.isfinite(norm):
            raise UpdateRejected("It holds NaN or infinity.")
        if norm > (bound := self.bound(examples)):
            raise UpdateRejected(f"Its norm is {norm:.4g}, at most {bound:.4g} is accepted.")
        return norm, norm / math.sqrt(optimiser_steps(self.task.config, examples))


def optimiser_steps(config: FederationConfig, examples: int) -> int:
    """Steps of a client's optimiser in one round."""
    return config.local_epochs * math.ceil(examples / config.batch_size)


def reachable_norm(state: Tensors, config: FederationConfig) -> float:
    """The longest update that one step of AdamW can make: every element at full stretch, and the decay.

    An honest update is some ten to thirty times shorter: this keeps absurdities out while nothing better is known.
    """
    rate = max(config.learning_rate, config.tower_learning_rate)
    length = math.hypot(*(float(np.linalg.norm(array)) for array in state.values()))
    return rate * (ADAM_STRETCH * math.sqrt(count(state)) + config.weight_decay * length)


def outliers(paces: Mapping[str, float], *, norm_bound: float) -> list[str]:
    """Clients of one round whose pace is beyond ``norm_bound`` medians; none where fewer than three are compared."""
    if len(paces) < MIN_PACES or not (middle := median(paces.values())) > 0:
        return []
    return sorted(name for name, pace in paces.items() if pace > norm_bound * middle)


def _skipped(receipt: Mapping[str, object]) -> dict[str, int]:
    """A client's own reasons with their numbers, the first ten.

    Raises:
        UpdateRejected: they are no list of texts and one of whole numbers of the same length.
    """
    reasons, counts = receipt.get("skipped-reasons", []), receipt.get("skipped-counts", [])
    if not isinstance(reasons, list) or not isinstance(counts, list) or len(reasons) != len(counts):
        raise UpdateRejected("Its reasons for skipped products cannot be read.")
    reasons, counts = reasons[:MAX_REASONS], counts[:MAX_REASONS]
    if not all(isinstance(reason, str) for reason in reasons) or not all(type(n) is int and n >= 0 for n in counts):
        raise UpdateRejected("Its reasons for skipped products cannot be read.")
    return {" ".join(reason.split())[:MAX_REASON]: number for reason, number in zip(reasons, counts, strict=True)}


def _seconds(value: object) -> float:
    """A duration that a client tells of itself; nothing depends on it but a figure in the report."""
    return value if isinstance(value, float) and math.isfinite(value) and value > 0 else 0.0


def _short(value: object) -> str:
    return repr(value)[:MAX_REASON]
