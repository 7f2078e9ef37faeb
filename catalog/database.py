"""Connections to PostgreSQL that survive its restart, and errors that say what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from catalog.cursors import TracedCursor
from catalog.errors import CatalogError, ClientRemoved, DatabaseNotReady, DatabaseRefused, DatabaseUnreachable

Connection = psycopg.Connection[tuple[Any, ...]]
Check = Callable[[Connection], None] | None
T = TypeVar("T")
CONNECT_TIMEOUT_S = 5.0
# SQLSTATEs that speak of the connection or of a server that goes or comes, not of the statement.
AWAY = ("08", "57P")
CLIENT_REMOVED = "TJ001"
"""Our own, of the trigger refuse_removed_client."""


def place(dsn: str) -> str:
    """Which database a DSN names, without its password."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "database (its DSN cannot be read)"
    return f"database {parts.get('dbname', '?')} at {parts.get('host', 'localhost')}:{parts.get('port', 5432)}"


@contextmanager
def translated(dsn: str) -> Iterator[None]:
    """Turn psycopg's errors into ours; ours pass as they are."""
    try:
        yield
    except psycopg.errors.UndefinedTable as error:
        raise DatabaseNotReady(
            f"The {place(dsn)} lacks a table: {_first_line(error)}.", hint="Start with `tejido up`, which makes them."
        ) from error
    except psycopg.Error as error:
        raise _translate(error, dsn) from error


def _translate(error: psycopg.Error, dsn: str) -> CatalogError:
    if error.sqlstate == CLIENT_REMOVED:
        return ClientRemoved(f"{_first_line(error).capitalize()}.", hint="Add it again: `tejido client add`.")
    is_away = isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or error.sqlstate.startswith(AWAY)
    )
    if is_away or isinstance(error, psycopg.InterfaceError):
        return DatabaseUnreachable(
            f"The {place(dsn)} did not answer: {_first_line(error)}.",
            hint="Is PostgreSQL running? `tejido doctor` looks.",
        )
    return DatabaseRefused(f"The {place(dsn)} refused: {_first_line(error)}.", hint="The log of PostgreSQL says more.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _pool(
    dsn: str, max_connections: int, *, autocommit: bool = False, check: Check = None
) -> ConnectionPool[Connection]:
    # Nothing connects before the first use: a process may be built while PostgreSQL is still starting.
    return ConnectionPool(
        dsn,
        connection_class=psycopg.Connection[tuple[Any, ...]],
        min_size=0,
        max_size=max_connections,
        timeout=CONNECT_TIMEOUT_S,
        check=check,
        kwargs={
            "connect_timeout": int(CONNECT_TIMEOUT_S),
            "application_name": "tejido",
            "cursor_factory": TracedCursor,
            "autocommit": autocommit,
        },
        reconnect_timeout=CONNECT_TIMEOUT_S,
        open=False,
    )


def act_for(connection: Connection, tenant: str) -> None:
    """Let the rest of the connection's transaction act for a client."""
    connection.execute("SELECT set_config('tejido.tenant', %s, true)", [tenant])


class Database:
    """Two small pools of connections to one database. Opened at first use; safe to share between threads.

    A restart of PostgreSQL costs one reconnect and no error.
    """

    def __init__(self, dsn: str, *, max_connections: int = 8) -> None:
        self.dsn = dsn
        self._pool = _pool(dsn, max_connections, check=ConnectionPool.check_connection)
        self._reading = _pool(dsn, max_connections, autocommit=True)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection inside a transaction, committed unless the block raises."""
        with translated(self.dsn):
            self._pool.open()
            with self._pool.connection() as connection:
                yield connection

    @contextmanager
    def acting_for(self, tenant: str) -> Iterator[Connection]:
        """A transaction in which a client's own products are seen and written, and no other's: PostgreSQL sees to it.

        It ends with the transaction, so whoever has the connection next acts for nobody.
        """
        with self.transaction() as connection:
            act_for(connection, tenant)
            yield connection

    def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` reads with single statements, or a pipeline of them, on a connection that commits by itself.

        A transaction makes three round trips of one, and trying the connection a fourth: longer than a small search
        takes. So the connection is not tried, and ``work`` is called again when it turns out to be dead.
        """
        with translated(self.dsn):
            self._reading.open()
            try:
                return self._read(work)
            except PoolTimeout:
                # Nobody's connection died: there was none to be had, and waiting as long again helps nobody.
                raise
            except psycopg.OperationalError:
                # The others that are idle are likely dead too. What is wrong still is raised the second time.
                self._reading.check()
                return self._read(work)

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._reading.connection() as connection:
            return work(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read-only transaction in which all queries see the database as it was at the first."""
        with self.transaction() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection

    def connections(self) -> Mapping[str, int]:
        """What the pools count: connections that are open and idle, requests for one, how long those waited."""
        return Counter(self._pool.get_stats()) + Counter(self._reading.get_stats())

    def close(self) -> None:
        """Give the connections back to PostgreSQL."""
        self._pool.close()
        self._reading.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class OnDatabase:
    """What works on a database, by connections of its own or shared ones; as a context manager it closes them.

    Args:
        database: libpq URL, or a `Database` to share its connections.
    """

    def __init__(self, database: str | Database) -> None:
        self._database = Database(database) if isinstance(database, str) else database

    def close(self) -> None:
        """Give the connections back to PostgreSQL."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
