"""Hears from Valkey that another index is live, so that nobody waits for the next look at the database."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from valkey import Valkey
from valkey.exceptions import ValkeyError

from server.index_notice import CHANNEL

LISTEN_S = 1.0
"""How long one look at the subscription waits; also how long stopping may take."""
FIRST_RETRY_S = 0.5
MAX_RETRY_S = 10.0

log = structlog.get_logger()


class IndexNotices:
    """Listens in a thread of its own, which outlives Valkey and finds it again.

    Args:
        valkey: a client for this alone; with ``health_check_interval``, or a connection that died silently stays.
    """

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._heard: Callable[[], None] = lambda: None
        self._arrive = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="index-notices", daemon=True)

    @property
    def arrive(self) -> bool:
        """Whether the subscription lives: only then may the database be asked less often."""
        return self._arrive

    def start(self, heard: Callable[[], None]) -> None:
        """Begin to listen; ``heard`` is called for each notice, and whenever the subscription begins or ends."""
        self._heard = heard
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _follow(self) -> None:
        retry_s = FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                self._listen()
            except ValkeyError as error:
                # After a subscription that lived, begin anew at the shortest wait.
                retry_s = FIRST_RETRY_S if self._arrive else min(retry_s * 2, MAX_RETRY_S)
                log.warning("notices of a new index do not arrive", error=str(error), retry_in_s=retry_s)
                self._turn(arrive=False)
                self._stopping.wait(retry_s)

    def _listen(self) -> None:
        """Until told to stop; raises ValkeyError when the subscription ends otherwise."""
        with self._valkey.pubsub() as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(CHANNEL)
            while not self._stopping.is_set():
                message = subscription.get_message(timeout=LISTEN_S)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    # Also when the client has connected anew by itself: something may have been missed meanwhile.
                    self._turn(arrive=True)
                elif message["type"] == "message":
                    self._heard()

    def _turn(self, *, arrive: bool) -> None:
        self._arrive = arrive
        self._heard()
