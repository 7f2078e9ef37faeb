"""Rows of ``index_versions``: read, locked, dropped with their vectors."""

from __future__ import annotations

from psycopg import sql
from psycopg.rows import kwargs_row

from catalog.database import Connection
from catalog.errors import IndexStateInvalid, IndexVersionMissing
from catalog.index.records import IndexVersion, State
from catalog.sql import queries

INDEX, PUBLISHED = queries("index.sql"), queries("publications.sql")
ROWS = kwargs_row(IndexVersion.of_row)


def vectors_of(number: int) -> sql.Identifier:
    """The table that holds a version's vectors."""
    return sql.Identifier(f"product_vectors_{number}")


def version_of(
    connection: Connection, number: int, *, state: State | None = None, for_update: bool = False
) -> IndexVersion:
    """One version; IndexVersionMissing when there is none, IndexStateInvalid when it is in another state."""
    query = INDEX["version_for_update" if for_update else "version"]
    with connection.cursor(row_factory=ROWS) as cursor:
        version = cursor.execute(query, {"id": number}).fetchone()
    if version is None:
        raise gone(number)
    if state is not None and version.state != state:
        raise IndexStateInvalid(f"Index version {number} is {version.state}, not {state}.", hint="Begin a new one.")
    return version


def live_version(connection: Connection) -> IndexVersion | None:
    """The one that answers queries, if there is one."""
    with connection.cursor(row_factory=ROWS) as cursor:
        return cursor.execute(INDEX["live"]).fetchone()


def gone(number: int) -> IndexVersionMissing:
    """The error to raise where a version is not there."""
    return IndexVersionMissing(
        f"Index version {number} does not exist (any more).", hint="`tejido index status` lists those that do."
    )


def unneeded(connection: Connection, numbers: list[int]) -> list[int]:
    """Those of these versions without which every product that a client published is still found.

    The platform cannot embed such a product again: where a version is the first that has it, the version stays.
    """
    searchable = [row[0] for row in connection.execute(PUBLISHED["searchable"])]
    if not set(numbers) & set(searchable):
        return numbers
    needed = {searchable[place] for place, *_ in connection.execute(holders_query(searchable))}
    return [number for number in numbers if number not in needed]


def holders_query(searchable: list[int]) -> sql.Composed:
    """Which of these versions is the first to hold each published product, counted by its place and by owner."""
    return PUBLISHED["holders"].format(held=held_query(searchable))


def held_query(searchable: list[int]) -> sql.Composed:
    """Every vector of a product that did not come with the catalogue, with the place of its version in this list."""
    parts = [
        PUBLISHED["held_by"].format(place=sql.Literal(place), vectors=vectors_of(number))
        for place, number in enumerate(searchable)
    ]
    return sql.SQL(" UNION ALL ").join(parts)


def drop(connection: Connection, numbers: list[int]) -> list[int]:
    """Drop these versions with their vectors, and return their ids."""
    for number in numbers:
        connection.execute(INDEX["drop_vectors"].format(vectors=vectors_of(number)))
        connection.execute(INDEX["drop_version"], {"id": number})
    return numbers
