"""Does to a running stack what `tejido client` wrote down: clients come, go, and get new keys; no other is touched."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from core.errors import TejidoError
from embedded.enrolment import Enrolment
from embedded.starting import Cancelled

LOOK_EVERY_S = 0.5
ALL = ""
"""Of whom it is told when what was written down cannot be read: of every client."""
Look = Callable[[], Mapping[str, Enrolment]]
Apply = Callable[[Enrolment, int], None]
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Failed:
    """What could not be done."""

    enrolment: Enrolment | None
    """None: what was written down could not be read."""
    why: str


Told = Callable[[Mapping[str, Enrolment], Mapping[str, Failed]], None]


class Follower:
    """Looks at the enrolments in a thread of its own.

    Args:
        look: reads them.
        apply: does what one says; called for each that is new or has changed, one after the other, with the revision
            that is in force (0: none).
        told: hears after each look that changed anything what is in force, and what failed, by client.
    """

    def __init__(self, look: Look, apply: Apply, told: Told) -> None:
        self._look, self._apply, self._told = look, apply, told
        self._seen: dict[str, Enrolment] = {}
        self._done: dict[str, Enrolment] = {}
        self._failed: dict[str, Failed] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="enrolments", daemon=True)

    def start(self, known: Mapping[str, Enrolment]) -> None:
        """Begin; ``known`` are those that the stack was started with."""
        self._seen = dict(known)
        self._done = dict(known)
        self._told(self._done, self._failed)
        self._thread.start()

    def stop(self) -> None:
        """End it; waits for what it is at, which gives up once the stack is cancelled."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _follow(self) -> None:
        with contextlib.suppress(Cancelled):
            while not self._stopping.wait(LOOK_EVERY_S):
                self._look_once()

    def _look_once(self) -> None:
        try:
            found = self._look()
        except TejidoError as error:
            self._tell_failed(ALL, None, error)
            return
        if self._failed.pop(ALL, None) is not None:
            self._told(self._done, self._failed)
        for name, enrolment in found.items():
            if self._seen.get(name) != enrolment and not self._stopping.is_set():
                self._do(name, enrolment)

    def _do(self, name: str, enrolment: Enrolment) -> None:
        # Tried once: what fails is said, and is tried again when it is said again, or at the next start.
        self._seen[name] = enrolment
        if self._failed.pop(name, None) is not None:
            self._told(self._done, self._failed)
        try:
            self._apply(enrolment, done.revision if (done := self._done.get(name)) else 0)
        except Cancelled:
            raise
        except Exception as error:
            # Whatever it is: a thread that died of it would do nothing for any client until the stack starts anew.
            if not isinstance(error, TejidoError):
                log.error("an enrolment failed", client=name, exc_info=error)
            self._tell_failed(name, enrolment, error)
            return
        self._done[name] = enrolment
        self._told(self._done, self._failed)

    def _tell_failed(self, name: str, enrolment: Enrolment | None, error: Exception) -> None:
        failed = Failed(enrolment, str(error) or type(error).__name__)
        if self._failed.get(name) != failed:
            self._failed[name] = failed
            self._told(self._done, self._failed)
