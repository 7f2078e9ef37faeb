"""The databases of one PostgreSQL server, each with a role that can open it and no other."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import sql

from catalog.database import translated
from core.names import API_ROLE, DATABASES

CATALOGUE = "catalog"
LOCK = 0x7E31D1


def make_databases(superuser_dsn: str, passwords: Mapping[str, str]) -> None:
    """Make roles and databases that are missing, set the passwords, and add pgvector to the catalogue's.

    Safe to run again, and many times at once.

    Args:
        superuser_dsn: of the database ``postgres``.
        passwords: one for each of ROLES.

    Raises:
        DatabaseUnreachable: PostgreSQL did not answer.
        DatabaseRefused: it has no pgvector, or the role is no superuser.
    """
    with translated(superuser_dsn), psycopg.connect(superuser_dsn, autocommit=True) as connection:
        # A database cannot be made within a transaction, so the lock is the session's.
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        for database, role in DATABASES.items():
            _make_role(connection, role, passwords[role])
            _make(connection, database, role)
        _make_role(connection, API_ROLE, passwords[API_ROLE])
        _open(connection, CATALOGUE, API_ROLE)
    with translated(superuser_dsn), psycopg.connect(superuser_dsn, dbname=CATALOGUE, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")


def _make_role(connection: psycopg.Connection, role: str, password: str) -> None:
    names = {"role": sql.Identifier(role), "password": sql.Literal(password)}
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {role}").format(**names))
    # Said anew each time: whatever somebody gave it meanwhile, none of them goes around row-level security.
    rights = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"
    connection.execute(sql.SQL("ALTER ROLE {role} " + rights + " PASSWORD {password}").format(**names))


def _make(connection: psycopg.Connection, database: str, role: str) -> None:
    names = {"role": sql.Identifier(role), "database": sql.Identifier(database)}
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
        connection.execute(sql.SQL("CREATE DATABASE {database} OWNER {role}").format(**names))
    connection.execute(sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC").format(**names))


def _open(connection: psycopg.Connection, database: str, role: str) -> None:
    names = {"role": sql.Identifier(role), "database": sql.Identifier(database)}
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {database} TO {role}").format(**names))
