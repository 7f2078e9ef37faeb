"""Removes what the database has of a client that leaves, and looks afterwards whether it is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.database import Connection, OnDatabase
from catalog.index.following import follow_catalogue
from catalog.index.versions import INDEX, PUBLISHED, vectors_of
from catalog.sessions import about_request
from catalog.sql import queries

LEAVING, SESSIONS = queries("leaving.sql"), queries("sessions.sql")


@dataclass(frozen=True, slots=True)
class Held:
    """What the database has of a client."""

    products: int
    unpublished: int
    """Products that its curators have not published."""
    published: int
    vectors: dict[int, int]
    """Index version → vectors of the client's products in it; every version."""
    curators: tuple[str, ...]
    machines: tuple[str, ...]
    """Programs that log in for it."""


class Leaving(OnDatabase):
    """Every call is one transaction."""

    def bar(self, owner: str) -> None:
        """Let no product of a client be written any more; whoever is writing one is waited for.

        A transaction of its own, which holds nothing else: nobody whom it waits for can be waiting for it.
        """
        with self._database.transaction() as connection:
            connection.execute(LEAVING["wait_for_writers"], {"owner": owner})
            connection.execute(LEAVING["bar"], {"owner": owner})

    def admit(self, owner: str) -> None:
        """Let its products be written again."""
        with self._database.transaction() as connection:
            connection.execute(LEAVING["admit"], {"owner": owner})

    def forget(self, owner: str, *, actor: str) -> Held:
        """Remove a client's products from the catalogue and every index version, its curators, and its programs.

        Their sessions end at once. Returns what there was. Rows of other clients are not looked at.

        Args:
            owner: name of the client.
            actor: who does it, for the audit log.
        """
        with self._database.acting_for(owner) as connection:
            about_request(connection, actor=actor)
            connection.execute(PUBLISHED["lock_owner"], {"owner": owner})
            before = _held(connection, owner)
            for username in before.curators:
                connection.execute(SESSIONS["revoke_of_user"], {"username": username, "reason": "client removed"})
            connection.execute(LEAVING["remove_curators"], {"owner": owner})
            connection.execute(LEAVING["remove_machines"], {"owner": owner})
            connection.execute(LEAVING["remove_products"], {"owner": owner})
            connection.execute(LEAVING["remove_unpublished"], {"owner": owner})
            follow_catalogue(connection)
        with self._database.transaction() as connection:
            # One that is built is held for as long as its graphs take, and counts itself when they are done.
            for (number,) in connection.execute(PUBLISHED["searchable"]).fetchall():
                connection.execute(PUBLISHED["recount"].format(vectors=vectors_of(number)), {"id": number})
        return before

    def held(self, owner: str) -> Held:
        """What there is of a client now."""
        with self._database.acting_for(owner) as connection:
            return _held(connection, owner)

    def living_sessions(self, usernames: Sequence[str]) -> int:
        """How many sessions of these users go on."""
        with self._database.transaction() as connection:
            values = {"usernames": list(usernames)}
            return _count(connection.execute(LEAVING["living_sessions"], values).fetchone())


def _held(connection: Connection, owner: str) -> Held:
    values = {"owner": owner}
    versions = [row[0] for row in connection.execute(INDEX["ids"]).fetchall()]
    return Held(
        products=_count(connection.execute(LEAVING["products"], values).fetchone()),
        unpublished=_count(connection.execute(LEAVING["unpublished"], values).fetchone()),
        published=_count(connection.execute(LEAVING["published"], values).fetchone()),
        vectors={
            number: _count(connection.execute(LEAVING["vectors"].format(vectors=vectors_of(number)), values).fetchone())
            for number in versions
        },
        curators=tuple(row[0] for row in connection.execute(LEAVING["curators"], values)),
        machines=tuple(row[0] for row in connection.execute(LEAVING["machines"], values)),
    )


def _count(row: tuple[int] | None) -> int:
    return int(row[0]) if row else 0
