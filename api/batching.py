"""Concurrent queries in one forward pass. A lone one is encoded at once, in its own thread; those that come while the
processor is busy wait together, and go together as soon as it is free: nobody ever waits for company.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from api.errors import Unavailable

MAX_TOGETHER = 16
"""More make everybody wait longer, and no query cheaper: the processor is full already."""
MAX_WAITING = 256
MAX_WAIT_S = 10.0

Q = TypeVar("Q")
A = TypeVar("A")
Told = Callable[[Any, int], None]


class _Waiting:
    """One question, and the answer that some thread will put here."""

    def __init__(self, kind: Hashable, question: Any, work: Callable[[list[Any]], Iterable[Any]]) -> None:
        self.kind, self.question, self.work = kind, question, work
        self.answer: Any = None
        self.error: BaseException | None = None
        self.is_taken = self.is_done = False


class Batches:
    """One batch at a time, the oldest question first, with it all others of its kind that wait.

    There is no thread of its own: whoever waits while nobody works takes the next batch, its own question or not.

    Args:
        told: is told the kind and size of each batch.
    """

    def __init__(
        self,
        *,
        max_together: int = MAX_TOGETHER,
        max_waiting: int = MAX_WAITING,
        max_wait_s: float = MAX_WAIT_S,
        told: Told | None = None,
    ) -> None:
        self._max_together, self._max_waiting, self._max_wait_s = max_together, max_waiting, max_wait_s
        self._told = told
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._is_busy = False

    def answer(self, kind: Hashable, question: Q, work: Callable[[list[Q]], Iterable[A]]) -> A:
        """The answer to one question; blocks until it is there.

        Args:
            kind: questions of equal kinds may be answered by the work of any of them.
            question: what ``work`` takes a list of.
            work: answers several, in their order. It may raise whatever it likes; then each question is asked alone, so
                that no one fails for another.

        Raises:
            Unavailable: too many wait already, or its turn did not come in time.
        """
        mine = _Waiting(kind, question, work)
        deadline = time.monotonic() + self._max_wait_s
        with self._changed:
            if len(self._waiting) >= self._max_waiting:
                raise Unavailable
            self._waiting.append(mine)
        while (batch := self._next_batch(mine, deadline)) is not None:
            try:
                if self._told is not None:
                    self._told(batch[0].kind, len(batch))
                _answer_all(batch)
            finally:
                self._finish(batch)
        if mine.error is not None:
            raise mine.error
        answer: A = mine.answer
        return answer

    def _next_batch(self, mine: _Waiting, deadline: float) -> list[_Waiting] | None:
        """What this thread shall work on now; None once its own answer is there."""
        with self._changed:
            while not mine.is_done:
                if not self._is_busy and self._waiting:
                    self._is_busy = True
                    return self._take()
                # What is being worked on is waited for: it comes, or fails, by itself.
                left_s = None if mine.is_taken else deadline - time.monotonic()
                if left_s is not None and left_s <= 0:
                    self._waiting.remove(mine)
                    raise Unavailable
                self._changed.wait(left_s)
        return None

    def _take(self) -> list[_Waiting]:
        kind = self._waiting[0].kind
        batch = [one for one in self._waiting if one.kind == kind][: self._max_together]
        for one in batch:
            one.is_taken = True
        self._waiting = deque(one for one in self._waiting if not one.is_taken)
        return batch

    def _finish(self, batch: list[_Waiting]) -> None:
        with self._changed:
            for one in batch:
                one.is_done = True
            self._is_busy = False
            self._changed.notify_all()


def _answer_all(batch: list[_Waiting]) -> None:
    try:
        answers = batch[0].work([one.question for one in batch])
        for one, answer in zip(batch, answers, strict=True):
            one.answer = answer
    except BaseException as error:
        if len(batch) == 1:
            batch[0].error = error
            return
        for one in batch:
            _answer_all([one])
