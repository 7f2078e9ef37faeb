"""What a slow part said last, for a second or two: many who ask at once ask it once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from core.errors import TejidoError

T = TypeVar("T")


class Remembered(Generic[T]):
    """An answer that is asked for anew once it is ``for_s`` old. Safe to share between threads.

    That a part is away is remembered just as long: waiting for it takes seconds, and a page asks every two.

    Args:
        ask: asks the part; may raise any TejidoError.
        for_s: how long its answer is believed.
        clock: seconds that only grow.
    """

    def __init__(self, ask: Callable[[], T], *, for_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._for_s, self._clock = ask, for_s, clock
        self._lock = threading.Lock()
        self._answer: T | TejidoError | None = None
        self._until: float | None = None

    def __call__(self) -> T:
        """The answer; raises what the part raised."""
        with self._lock:
            if self._until is None or self._clock() >= self._until:
                try:
                    self._answer = self._ask()
                except TejidoError as error:
                    self._answer = error
                self._until = self._clock() + self._for_s
            if isinstance(self._answer, TejidoError):
                raise self._answer
            return self._answer  # type: ignore[return-value]  # None only where that is what `ask` gave

    def forget(self) -> None:
        """Ask anew the next time."""
        with self._lock:
            self._until = None
