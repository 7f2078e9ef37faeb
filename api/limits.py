"""How often one may log in, renew a session and search, counted in Valkey.

A login that cannot be counted is not tried: passwords can be guessed. Searches and refresh tokens cannot.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from valkey import Valkey
from valkey.exceptions import ValkeyError

from api.errors import LoginUnavailable, TooManyAttempts, TooManyRefreshes, TooManySearches

WINDOW_S = 300
MAX_PER_USER = 10
MAX_PER_ADDRESS = 40
MAX_REFRESHES_PER_TOKEN = 10
MAX_REFRESHES_PER_ADDRESS = 120
"""An office of some hundred pages behind one address, each of which renews every quarter of an hour."""
SEARCH_WINDOW_S = 60
UNCOUNTED_S = 5.0
"""How long nothing is counted that need not be, once Valkey did not answer: asking it in vain may take a second."""

log = structlog.get_logger()


class Counters(Protocol):
    """Counts that expire; ValkeyCounters in production."""

    def increment(self, key: str, *, expires_s: int) -> tuple[int, int]:
        """Add one to ``key``; returns the count and the seconds until it starts anew."""

    def reset(self, key: str) -> None:
        """Forget ``key``."""


class ValkeyCounters:
    """Counts shared by all processes of the API."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    def increment(self, key: str, *, expires_s: int) -> tuple[int, int]:
        """One round trip, one transaction: a count never stays without its expiry."""
        with self._valkey.pipeline(transaction=True) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, expires_s, nx=True)
            pipeline.ttl(key)
            count, _, left_s = pipeline.execute()  # type: ignore[no-untyped-call]
        return int(count), int(left_s)

    def reset(self, key: str) -> None:
        """Forget ``key``."""
        self._valkey.delete(key)


@dataclass(frozen=True)
class LoginLimits:
    """Bounds the attempts per user and per address; counts before the password is looked at."""

    counters: Counters

    def admit(self, username: str, address: str) -> None:
        """Count one attempt.

        Raises:
            TooManyAttempts: the user or the address has used up this window.
            LoginUnavailable: the attempt could not be counted.
        """
        for key, limit in (
            (_key("login:user", username), MAX_PER_USER),
            (_key("login:address", address), MAX_PER_ADDRESS),
        ):
            try:
                count, left_s = self.counters.increment(key, expires_s=WINDOW_S)
            except ValkeyError:
                # Fail closed: without counting, passwords could be guessed without bound.
                raise LoginUnavailable(
                    "Logins cannot be counted at the moment.", hint="Try again; GET /readyz says which part is missing."
                ) from None
            if count > limit:
                raise TooManyAttempts(max(left_s, 1))

    def succeeded(self, username: str) -> None:
        """Forget the attempts of a user who has proven who they are; the address keeps its count."""
        try:
            self.counters.reset(_key("login:user", username))
        except ValkeyError:
            # The password was right: the user is let in, and the count runs out by itself.
            return


class _Forgiving:
    """Counts while the counters can be reached. Losing them costs a bound, never an answer."""

    def __init__(self, counters: Counters, what: str, clock: Callable[[], float]) -> None:
        self._counters, self._what, self._clock = counters, what, clock
        self._uncounted_until = 0.0

    def left_s(self, key: str, limit: int, window_s: int) -> int:
        """Count one; the seconds to wait when that is more than ``limit`` in this window, else 0."""
        if self._clock() < self._uncounted_until:
            return 0
        try:
            count, left_s = self._counters.increment(key, expires_s=window_s)
        except ValkeyError as error:
            self._uncounted_until = self._clock() + UNCOUNTED_S
            log.warning(f"{self._what} are not counted", error=str(error), retry_in_s=UNCOUNTED_S)
            return 0
        return max(left_s, 1) if count > limit else 0


class RefreshLimits:
    """Bounds how often sessions are renewed or ended, by token and by address.

    Goes on without the counters: nobody guesses 256 bits, and sessions must not end because Valkey is away.
    """

    def __init__(self, counters: Counters, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._counters = _Forgiving(counters, "renewals of sessions", clock)

    def admit(self, token: str, address: str) -> None:
        """Count one.

        Raises:
            TooManyRefreshes: the token or the address has used up this window.
        """
        for key, limit in (
            (_key("refresh:token", token), MAX_REFRESHES_PER_TOKEN),
            (_key("refresh:address", address), MAX_REFRESHES_PER_ADDRESS),
        ):
            if left_s := self._counters.left_s(key, limit, WINDOW_S):
                raise TooManyRefreshes(left_s)


class SearchLimits:
    """Bounds the searches of one user in a minute. Losing the counters costs the bound, never an answer.

    Args:
        counters: shared by all processes of the API.
        per_minute: of one user; 0: as many as they like.
        clock: seconds that only grow.
    """

    def __init__(self, counters: Counters, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._counters, self._per_minute = _Forgiving(counters, "searches", clock), per_minute

    def admit(self, subject: str) -> None:
        """Count one search of ``subject``.

        Raises:
            TooManySearches: they have used up this minute.
        """
        if not self._per_minute:
            return
        if left_s := self._counters.left_s(_key("search", subject), self._per_minute, SEARCH_WINDOW_S):
            raise TooManySearches(left_s)


def _key(kind: str, name: str) -> str:
    # Hashed, so that whatever is typed as a name cannot be a key of its own making or of any length.
    return f"tejido:{kind}:{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:32]}"
