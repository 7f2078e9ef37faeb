"""What an index keeps beside its vectors follows the catalogue."""

from __future__ import annotations

from psycopg import sql

from catalog.database import Connection
from catalog.filters import ATTRIBUTES
from catalog.index.versions import INDEX, vectors_of


def follow_catalogue(connection: Connection) -> None:
    """Bring the attributes in every index version to what ``fashion_files`` says, in the caller's transaction."""
    for (number,) in connection.execute(INDEX["ids"]).fetchall():
        query = INDEX["follow_files"].format(
            vectors=vectors_of(number),
            attributes=_columns(None),
            of_file=_columns("file"),
            of_vector=_columns("vector"),
        )
        connection.execute(query)


def _columns(table: str | None) -> sql.Composed:
    names = ((table, name) if table else (name,) for name in ATTRIBUTES)
    return sql.SQL(", ").join(sql.Identifier(*parts) for parts in names)
