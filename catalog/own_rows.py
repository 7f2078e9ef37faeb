"""What writing curators' products takes, whether they are published or not: their statements, and parts of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from psycopg import sql
from psycopg.rows import class_row

from catalog.database import Connection
from catalog.sql import queries
from catalog.store import FashionFile

OWN = queries("own.sql")
Keep = Callable[[], None]
"""Puts a picture into its bucket, or takes it out."""
NOT_WRITTEN = ("id", "created_at")
FIXED = (*NOT_WRITTEN, "dataset", "owner", "split", "origin", "reference")
CHANGED = tuple(field.name for field in fields(FashionFile) if field.name not in FIXED)
"""The columns that writing a product again may change."""
COPIED = (*CHANGED, "dataset", "owner", "split", "reference")
"""Those that a product keeps when it is published, besides its number."""


def owner_of(product: FashionFile) -> str:
    """The client for which a product is written."""
    # Nobody's product is nobody's to write: no client has the empty name.
    return product.owner or ""


def written_values(product: FashionFile) -> dict[str, Any]:
    """Column → value, without its number and time, which are given here."""
    return {name: value for name, value in asdict(product).items() if name not in NOT_WRITTEN}


def rows_of(connection: Connection, query: sql.Composed, values: Mapping[str, Any]) -> list[FashionFile]:
    """What a statement returns, as products."""
    with connection.cursor(row_factory=class_row(FashionFile)) as cursor:
        return cursor.execute(query, values).fetchall()


def names(columns: Iterable[str], table: str | None = None) -> sql.Composed:
    """``column, column …``, each of ``table`` if one is given."""
    return sql.SQL(", ").join(sql.Identifier(table, name) if table else sql.Identifier(name) for name in columns)


def placeholders(columns: Iterable[str]) -> sql.Composed:
    """``%(column)s, %(column)s …``."""
    return sql.SQL(", ").join(sql.Placeholder(name) for name in columns)
