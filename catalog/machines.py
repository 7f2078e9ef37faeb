"""Programs that may get access tokens: a name, and the hash of a secret that is kept nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from catalog.database import OnDatabase
from catalog.sessions import about_request
from catalog.sql import queries

MACHINES = queries("machines.sql")


@dataclass(frozen=True, slots=True)
class Admitted:
    """A program that showed its secret."""

    name: str
    roles: list[str]
    client: str | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A program that may."""

    name: str
    roles: list[str]
    client: str | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class MachineStore(OnDatabase):
    """Adds, admits and removes them. Every call is one transaction; DatabaseUnreachable when none can be had."""

    def add(
        self, name: str, sha256: bytes, roles: list[str], *, client: str | None, lifetime_s: int, actor: str
    ) -> datetime | None:
        """Let a program in until the moment that is returned; None: there is one of that name."""
        values = {"name": name, "sha256": sha256, "roles": roles, "client": client, "lifetime_s": lifetime_s}
        with self._database.transaction() as connection:
            about_request(connection, actor=actor)
            row = connection.execute(MACHINES["add"], values).fetchone()
        return row[0] if row else None

    def admit(self, name: str, sha256: bytes, *, address: str) -> Admitted | None:
        """The program whose name and secret these are, if its time is not over."""
        with self._database.transaction() as connection, connection.cursor(row_factory=class_row(Admitted)) as cursor:
            about_request(connection, address=address)
            return cursor.execute(MACHINES["use"], {"name": name, "sha256": sha256}).fetchone()

    def remove(self, name: str, *, actor: str) -> bool:
        """Let it in no more; whether there was one."""
        with self._database.transaction() as connection:
            about_request(connection, actor=actor)
            return connection.execute(MACHINES["remove"], {"name": name}).rowcount > 0

    def machines(self) -> list[Machine]:
        """All, by name."""
        with self._database.transaction() as connection, connection.cursor(row_factory=class_row(Machine)) as cursor:
            return cursor.execute(MACHINES["all"]).fetchall()
