"""Families of refresh tokens in memory, as SessionStore keeps them in PostgreSQL."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from catalog.audit_log import Kind
from catalog.machines import Admitted
from catalog.sessions import Begun, Refused, Renewed, all_of
from catalog.store import User


@dataclass
class FakeFamily:
    """One family: the hashes of its tokens, and whether each was used."""

    username: str
    tokens: dict[bytes, bool] = field(default_factory=dict)
    is_revoked: bool = False
    is_expired: bool = False


@dataclass
class FakeFamilies:
    """Families and the users that ``user`` finds."""

    user: Callable[[str], User | None]
    ping: Callable[[], None]
    families: dict[str, FakeFamily] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    removed_clients: set[str] = field(default_factory=set)

    def begin(self, username: str, sha256: bytes, *, idle_s: int, lifetime_s: int, address: str) -> Begun:
        self.ping()
        family = f"family-{next(self.numbers)}"
        self.families[family] = FakeFamily(username, {sha256: False})
        return Begun(family, min(idle_s, lifetime_s))

    def renew(self, old_sha256: bytes, new_sha256: bytes, *, idle_s: int) -> Renewed | Refused:
        self.ping()
        with self.lock:
            name = self._of(old_sha256)
            if name is None:
                return Refused("unknown")
            family = self.families[name]
            if family.is_revoked:
                return Refused("revoked", name, family.username)
            if family.tokens[old_sha256]:
                family.is_revoked = True
                return Refused("used", name, family.username)
            if (user := self.user(family.username)) is None:
                family.is_revoked = True
                return Refused("no user", name, family.username)
            if family.is_expired:
                return Refused("expired", name, family.username)
            family.tokens |= {old_sha256: True, new_sha256: False}
            return Renewed(name, user.username, user.roles, user.client, idle_s)

    def revoke(self, sha256: bytes, reason: str) -> str | None:
        self.ping()
        name = self._of(sha256)
        if name is None or self.families[name].is_revoked:
            return None
        self.families[name].is_revoked = True
        return name

    def revoked(self, within_s: float) -> frozenset[str]:
        self.ping()
        revoked = {name for name, family in self.families.items() if family.is_revoked}
        return frozenset(revoked | {all_of(name) for name in self.removed_clients})

    def _of(self, sha256: bytes) -> str | None:
        return next((name for name, family in self.families.items() if sha256 in family.tokens), None)


@dataclass
class FakeAudit:
    """What was written into the audit log."""

    entries: list[tuple[Kind, str, dict[str, object]]] = field(default_factory=list)

    def append(self, kind: Kind, actor: str, **details: object) -> None:
        self.entries.append((kind, actor, details))


@dataclass
class FakeMachines:
    """Programs by name: the hash of the secret, and what they may."""

    known: dict[str, tuple[bytes, Admitted]] = field(default_factory=dict)

    def admit(self, name: str, sha256: bytes, *, address: str) -> Admitted | None:
        kept, admitted = self.known.get(name, (b"", None))
        return admitted if kept == sha256 else None
