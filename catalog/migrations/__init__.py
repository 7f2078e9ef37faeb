"""The tables of the ``catalog`` database, and how they came to be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from catalog.database import translated
from catalog.errors import DatabaseRefused

# Any constant will do, so long as nothing else in this database locks it.
LOCK = 0x7E31D0


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Raise what psycopg said instead of SQLAlchemy's wrapping, and alembic's complaints as our own."""
    try:
        yield
    except DBAPIError as error:
        raise error.orig or error from error
    except CommandError as error:
        raise DatabaseRefused(
            f"The database cannot be brought to this version: {error}.",
            hint="Was it used by a newer Tejido? Upgrade, or use another database.",
        ) from error


def upgrade(dsn: str) -> None:
    """Bring the database to the newest tables; does nothing when it has them. Safe to run many times at once.

    Raises:
        DatabaseUnreachable: PostgreSQL did not answer.
        DatabaseRefused: the user may not create tables or the vector extension, or a newer Tejido was here.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool)
    try:
        # One transaction: every table or none; the lock is given back with it.
        with translated(dsn), _unwrapped(), engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
