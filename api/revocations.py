"""Which sessions are over, known in this process without asking anybody.

The truth is PostgreSQL. A thread asks it twice a second for the families that were revoked so lately that an access
token of theirs could still be valid; a request only looks into that set. So a revocation counts at once in the process
that made it and within a second in all others, and neither a restart nor the loss of Valkey lets anybody back in.

While PostgreSQL does not answer, nothing new can be known. For `STALE_S` the set of before is good enough: a restart of
PostgreSQL passes in that time, and logs nobody out. After that, tokens of sessions are refused with 503: searches, rows
and log-ins fail without PostgreSQL anyway, so refusing costs next to nothing, and a stolen session gains nothing by
cutting the API off from it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Set

import structlog

from api.errors import SessionsUnknown
from core.errors import TejidoError
from security.errors import Unauthenticated
from security.tokens import LEEWAY_S, MAX_LIFETIME_S

POLL_S = 0.5
STALE_S = 10.0
FIRST_POLL_S = 1.0
"""How long a process that starts waits for its first look, so that its first requests are not refused."""
REMEMBERED_S = MAX_LIFETIME_S + LEEWAY_S + 60
"""After so long no access token of a family is valid any more; the minute is for clocks that differ."""

log = structlog.get_logger(__name__)


class Revocations:
    """Follows the revoked families in a thread of its own. Safe to share between threads.

    Args:
        revoked: the families that were revoked within so many seconds; DatabaseUnreachable and the like when unknown.
        poll_s: the pause between two looks.
        stale_s: how old the last look may be.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        revoked: Callable[[float], Set[str]],
        *,
        poll_s: float = POLL_S,
        stale_s: float = STALE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._revoked, self._poll_s, self._stale_s, self._clock = revoked, poll_s, stale_s, clock
        self._polled: Set[str] = frozenset()
        self._as_of: float | None = None
        self._own: dict[str, float] = {}
        self._lock = threading.Lock()
        self._is_known = True
        self._stopping = threading.Event()
        self._has_looked = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="revocations", daemon=True)

    def start(self) -> None:
        """Begin to follow; waits a moment for the first look."""
        self._thread.start()
        self._has_looked.wait(FIRST_POLL_S)

    def stop(self) -> None:
        """Stop following."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def add(self, family: str) -> None:
        """This process has revoked a family: no need to wait for the next look."""
        with self._lock:
            self._own[family] = self._clock()

    def refuse_revoked(self, family: str) -> None:
        """Return if an access token of ``family`` may be taken. Costs no round trip.

        Raises:
            Unauthenticated: the family is revoked.
            SessionsUnknown: whether it is has not been known for too long.
        """
        if family in self._polled or family in self._own:
            raise Unauthenticated("the session was revoked")
        if self._as_of is None or self._clock() - self._as_of > self._stale_s:
            raise SessionsUnknown

    def look(self) -> None:
        """Ask once."""
        began = self._clock()
        try:
            self._polled = self._revoked(REMEMBERED_S)
        except Exception as error:
            # Whatever it is: a thread that died of it would refuse every session until the process is started anew.
            if self._is_known:
                trace = None if isinstance(error, TejidoError) else error
                log.error(
                    "revoked sessions are not known", error=str(error), refused_after_s=self._stale_s, exc_info=trace
                )
            self._is_known = False
            return
        if not self._is_known:
            log.info("revoked sessions are known again", revoked=len(self._polled))
        # Since it began, not since it ended: what was revoked meanwhile may be missing.
        self._is_known, self._as_of = True, began
        with self._lock:
            self._own = {family: at for family, at in self._own.items() if began - at < REMEMBERED_S}

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._has_looked.set()
            self._stopping.wait(self._poll_s)
