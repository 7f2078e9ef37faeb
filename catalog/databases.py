"""The databases of one PostgreSQL server, each with a role that can open it and no other."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import sql

from catalog.database import translated
from core.names import DATABASES

CATALOGUE = "catalog"
LOCK = 0x7E31D1


def make_databases(superuser_dsn: str, passwords: Mapping[str, str]) -> None:
    """Make roles and databases that are missing, set the passwords, and add pgvector to the catalogue's.

    Safe to run again, and many times at once.

    Args:
        superuser_dsn: of the database ``postgres``.
        passwords: one for each role of DATABASES.

    Raises:
        DatabaseUnreachable: PostgreSQL did not answer.
        DatabaseRefused: it has no pgvector, or the role is no superuser.
    """
    with translated(superuser_dsn), psycopg.connect(superuser_dsn, autocommit=True) as connection:
        # A database cannot be made within a transaction, so the lock is the session's.
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        for database, role in DATABASES.items():
            _make(connection, database, role, passwords[role])
    with translated(superuser_dsn), psycopg.connect(superuser_dsn, dbname=CATALOGUE, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")


def _make(connection: psycopg.Connection, database: str, role: str, password: str) -> None:
    names = {"role": sql.Identifier(role), "database": sql.Identifier(database), "password": sql.Literal(password)}
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {role} LOGIN").format(**names))
    connection.execute(sql.SQL("ALTER ROLE {role} PASSWORD {password}").format(**names))
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
        connection.execute(sql.SQL("CREATE DATABASE {database} OWNER {role}").format(**names))
    connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {database} FROM PUBLIC").format(**names))
