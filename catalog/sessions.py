"""Sessions of people: families of refresh tokens in PostgreSQL, which is the truth about which of them are over.

A token is good for one use, which gives the next one of its family (RFC 9700, 4.14.2). Nothing here knows a token: only
its SHA-256 comes in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.conninfo import make_conninfo
from psycopg.rows import class_row

from catalog.database import Connection, Database, OnDatabase
from catalog.sql import queries

SESSIONS = queries("sessions.sql")
SILENCE_MS = 5000
"""How long what was sent to PostgreSQL may stay unacknowledged before the connection counts as dead."""

Reason = Literal["unknown", "revoked", "expired", "used", "no user"]


@dataclass(frozen=True, slots=True)
class Begun:
    """A new family, and how long its first token may stay unused."""

    family: str
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """The user as they are now, and how long the family's next token may stay unused."""

    family: str
    username: str
    roles: list[str]
    client: str | None
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A token that gives no other."""

    reason: Reason
    family: str | None = None
    """Whose token it was; None for one that nobody was given."""
    username: str | None = None

    @property
    def ends_family(self) -> bool:
        """Whether the family is revoked, since now or since before."""
        return self.reason in ("revoked", "used", "no user")


@dataclass(frozen=True, slots=True)
class Alive:
    """A session that goes on."""

    family: str
    username: str
    started_at: datetime
    renewed_at: datetime
    expires_at: datetime
    """When it ends unless it is renewed before."""
    ends_at: datetime
    """When it ends in any case."""


@dataclass(frozen=True, slots=True)
class _Presented:
    family: str
    username: str
    is_revoked: bool
    is_used: bool
    is_expired: bool
    roles: list[str] | None
    client: str | None

    @property
    def refusal(self) -> Reason | None:
        """Why it gives no other token. That it was used counts before its age: an old token was stolen too."""
        if self.is_revoked:
            return "revoked"
        if self.is_used:
            return "used"
        if self.roles is None:
            return "no user"
        return "expired" if self.is_expired else None


class SessionStore(OnDatabase):
    """Begins, renews and revokes families. Every call is one transaction; DatabaseUnreachable when none can be had."""

    @classmethod
    def to_poll(cls, dsn: str) -> SessionStore:
        """One with a connection of its own, which neither searches nor a host that went silent hold up for long."""
        return cls(Database(make_conninfo(dsn, tcp_user_timeout=SILENCE_MS), max_connections=1))

    def begin(self, username: str, sha256: bytes, *, idle_s: int, lifetime_s: int, address: str) -> Begun:
        """Begin a family with its first token; the audit log tells of it, and from where."""
        values = {"username": username, "sha256": sha256, "idle_s": idle_s, "lifetime_s": lifetime_s}
        with self._database.transaction() as connection:
            about_request(connection, address=address)
            family, expires_in_s = connection.execute(SESSIONS["begin"], values).fetchone() or ("", 0)
        return Begun(family, expires_in_s)

    def renew(self, old_sha256: bytes, new_sha256: bytes, *, idle_s: int) -> Renewed | Refused:
        """Use up a token for the next one of its family. A token that was used before revokes the family.

        So does one whose user is gone. Of calls that come together for one token, at most the first succeeds.
        """
        with self._database.transaction() as connection:
            connection.execute(SESSIONS["lock_family"], {"sha256": old_sha256})
            found = _presented(connection, old_sha256)
            if found is None:
                return Refused("unknown")
            if (reason := found.refusal) is not None:
                refused = Refused(reason, found.family, found.username)
                if refused.ends_family:
                    connection.execute(SESSIONS["revoke"], {"family": found.family, "reason": reason})
                return refused
            values = {"old_sha256": old_sha256, "new_sha256": new_sha256, "idle_s": idle_s}
            (expires_in_s,) = connection.execute(SESSIONS["renew"], values).fetchone() or (0,)
        return Renewed(found.family, found.username, found.roles or [], found.client, expires_in_s)

    def revoke(self, sha256: bytes, reason: str) -> str | None:
        """Revoke the family of a token, used or not; its id, or None when there is none that lives."""
        with self._database.transaction() as connection:
            values = {"sha256": sha256, "reason": reason}
            row = connection.execute(SESSIONS["revoke_by_token"], values).fetchone()
        return str(row[0]) if row else None

    def revoke_of_user(self, username: str, reason: str) -> int:
        """Revoke every family of a user; how many there were."""
        with self._database.transaction() as connection:
            return connection.execute(SESSIONS["revoke_of_user"], {"username": username, "reason": reason}).rowcount

    def revoke_all(self, reason: str) -> int:
        """Revoke every family; how many there were."""
        with self._database.transaction() as connection:
            return connection.execute(SESSIONS["revoke_all"], {"reason": reason}).rowcount

    def alive(self, username: str | None = None) -> list[Alive]:
        """The families whose newest token still gives another, of one user or of all; newest first."""
        with self._database.transaction() as connection, connection.cursor(row_factory=class_row(Alive)) as cursor:
            return cursor.execute(SESSIONS["alive"], {"username": username}).fetchall()

    def revoked(self, within_s: float) -> frozenset[str]:
        """The families that were revoked within the last ``within_s`` seconds, and `all_of` each removed client.

        One round trip.
        """
        return self._database.read(
            lambda connection: frozenset(
                family for (family,) in connection.execute(SESSIONS["revoked"], {"within_s": within_s})
            )
        )

    def forget(self, before: datetime) -> int:
        """Remove the families that could not live any longer at ``before``; how many there were."""
        with self._database.transaction() as connection:
            return connection.execute(SESSIONS["forget"], {"before": before}).rowcount


def all_of(client: str) -> str:
    """What stands among the families for everybody who speaks for a client."""
    return f"client {client}"


def about_request(connection: Connection, *, actor: str = "", address: str = "") -> None:
    """Tell the audit log of this transaction who acts, and from where."""
    connection.execute(SESSIONS["about_request"], {"actor": actor, "address": address})


def _presented(connection: Connection, sha256: bytes) -> _Presented | None:
    with connection.cursor(row_factory=class_row(_Presented)) as cursor:
        return cursor.execute(SESSIONS["presented"], {"sha256": sha256}).fetchone()
