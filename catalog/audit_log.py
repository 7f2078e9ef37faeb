"""The audit log: who came in, who was let, what became of models. Each entry holds the hash of the one before.

PostgreSQL writes most entries itself, in the transaction of what they tell of: log-ins, grants and changes of the
champion stand there even if they were made by hand. What it cannot see is added by `AuditLog.append`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg.types.json import Jsonb

from catalog.database import Connection, OnDatabase
from catalog.sql import queries

AUDIT_LOG = queries("audit_log.sql")
BEGINNING = bytes(32)
"""What the first entry takes for the hash of the one before."""
Kind = Literal[
    "login", "login_refused", "session_revoked", "user_added", "user_changed", "user_removed", "machine_added",
    "machine_changed", "machine_removed", "machine_login", "model_promoted", "model_overridden", "model_refused",
    "model_rolled_back", "model_failed", "client_added", "client_changed", "client_removed", "update_refused",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it is kept: ``sha256`` is of ``previous`` and the bytes of ``entry``."""

    seq: int
    entry: str
    previous: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of looking at the whole chain."""

    entries: int
    head: str
    """Hash of the last entry, in hexadecimal; whoever notes it down can prove later that nothing before was changed."""
    broken_at: int | None = None
    """The first entry that does not fit the one before; None: all fit."""
    knows_head: bool | None = None
    """Whether an entry has the hash that was asked for; None: none was."""

    @property
    def holds(self) -> bool:
        """Whether nothing was changed, taken out, put in between, or cut off behind the head that was asked for."""
        return self.broken_at is None and self.knows_head is not False


def verified(links: Iterable[Link], head: str | None = None) -> Verdict:
    """Look at a chain from its beginning.

    Args:
        links: in order.
        head: a hash that was noted down earlier, in hexadecimal.
    """
    previous, entries, knows = BEGINNING, 0, None if head is None else False
    for link in links:
        told = json.loads(link.entry)["seq"] if link.entry.startswith("{") else None
        fits = (link.seq, link.previous) == (entries + 1, previous) and told == link.seq
        if not fits or hashlib.sha256(previous + link.entry.encode()).digest() != link.sha256:
            return Verdict(entries, previous.hex(), broken_at=link.seq, knows_head=knows)
        previous, entries = link.sha256, entries + 1
        knows = knows or (None if head is None else previous.hex() == head.lower())
    return Verdict(entries, previous.hex(), knows_head=knows)


class AuditLog(OnDatabase):
    """Adds to the log, and reads it. Every call is one transaction; DatabaseUnreachable when none can be had."""

    def append(self, kind: Kind, actor: str, **details: object) -> None:
        """Add an entry."""
        with self._database.transaction() as connection:
            _append(connection, kind, actor, details)

    def append_once(
        self, kind: Kind, entries: Iterable[tuple[str, Mapping[str, object]]], *, unless: Mapping[str, object]
    ) -> None:
        """Add entries, all or none, unless one of their kind has been added with the details ``unless``.

        Args:
            kind: of all.
            entries: actor and details of each.
            unless: what tells that they are there already. Of two that come together, one finds the other's.
        """
        with self._database.transaction() as connection:
            connection.execute(AUDIT_LOG["lock"])
            values = {"kind": kind, "details": Jsonb(dict(unless))}
            (is_there,) = connection.execute(AUDIT_LOG["has"], values).fetchone() or (False,)
            for actor, details in () if is_there else entries:
                _append(connection, kind, actor, details)

    def last(self, limit: int, kinds: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The last entries, newest first: seq, at, kind, actor, details."""
        query = AUDIT_LOG["last" if kinds is None else "last_of_kinds"]
        values = {"limit": limit, "kinds": list(kinds or ())}
        with self._database.transaction() as connection:
            return [json.loads(entry) for (entry,) in connection.execute(query, values)]

    def verify(self, head: str | None = None) -> Verdict:
        """Look at the whole chain, in constant memory; see `verified`."""
        with self._database.transaction() as connection, connection.cursor(name="chain") as cursor:
            cursor.execute(AUDIT_LOG["chain"])
            return verified((Link(*row) for row in cursor), head)


def _append(connection: Connection, kind: Kind, actor: str, details: Mapping[str, object]) -> None:
    connection.execute(AUDIT_LOG["append"], {"kind": kind, "actor": actor, "details": Jsonb(dict(details))})
