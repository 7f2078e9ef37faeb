"""How often a login may be tried, counted in Valkey; when it cannot be counted, it cannot be tried."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from valkey import Valkey
from valkey.exceptions import ValkeyError

from api.errors import LoginUnavailable, TooManyAttempts

WINDOW_S = 300
MAX_PER_USER = 10
MAX_PER_ADDRESS = 40


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
        for key, limit in ((_key("user", username), MAX_PER_USER), (_key("address", address), MAX_PER_ADDRESS)):
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
            self.counters.reset(_key("user", username))
        except ValkeyError:
            # The password was right: the user is let in, and the count runs out by itself.
            return


def _key(kind: str, name: str) -> str:
    # Hashed, so that whatever is typed as a name cannot be a key of its own making or of any length.
    return f"tejido:login:{kind}:{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:32]}"
