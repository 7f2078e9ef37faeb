"""What a running process has read from files, read again when they change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import structlog

from core.errors import TejidoError

LOOK_EVERY_S = 1.0
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Followed(Generic[T]):
    """A value as the files say now, give or take a second. Safe to share between threads.

    Only when the state changed are the files read. What cannot be read while it is in use (half copied, open to others)
    leaves the value of before in use, and the log says so at every look.

    Args:
        what: the value, as the log calls it.
        state: tells how the files are, at little cost; any change of them changes it.
        read: makes the value anew; gets the former one, None at the beginning.
        told: what the log says of a new value.
        clock: seconds that only grow.

    Raises:
        TejidoError, OSError: what ``state`` and ``read`` raise; at the beginning only.
    """

    def __init__(
        self,
        what: str,
        *,
        state: Callable[[], object],
        read: Callable[[T | None], T],
        told: Callable[[T], Mapping[str, object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._state, self._read, self._told, self._clock = what, state, read, told, clock
        # Looked at before it is read: what changes in between is read once more.
        self._seen = state()
        self._value = read(None)
        self._look_at = clock() + LOOK_EVERY_S
        self._lock = threading.Lock()

    def current(self) -> T:
        """The value."""
        # Whoever finds another looking goes on with the value of before.
        if self._clock() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look_at = self._clock() + LOOK_EVERY_S
                self._look()
            finally:
                self._lock.release()
        return self._value

    def _look(self) -> None:
        try:
            found = self._state()
            if found == self._seen:
                return
            self._value = self._read(self._value)
        except (TejidoError, OSError) as error:
            log.error(f"the {self._what} cannot be read again; those of before stay in use", error=str(error))
            return
        self._seen = found
        log.info(f"the {self._what} have changed", **self._told(self._value))
