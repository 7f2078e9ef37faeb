"""Roles and databases of one server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from catalog.databases import make_databases
from core.names import API_ROLE, ROLES
from embedded.environments import api_env_path, read_environment
from embedded.postgres import SUPERUSER
from embedded.stack import Stack

pytestmark = pytest.mark.integration


@pytest.fixture
def superuser(stack: Stack) -> str:
    place = stack.settings().required("postgres_dsn").rsplit("@", 1)[1].split("/")[0]
    return f"postgresql://{SUPERUSER}:{stack.state.secret('postgres-postgres-password')}@{place}/postgres"


def test_making_them_again_and_at_once_changes_nothing(stack: Stack, superuser: str) -> None:
    passwords = {role: stack.state.secret(f"postgres-{role}-password") for role in ROLES}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: make_databases(superuser, passwords), range(4)))
    with psycopg.connect(stack.settings().required("postgres_dsn")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("catalog",)


def test_the_api_has_a_role_that_owns_nothing_and_opens_its_own_database_alone(stack: Stack, superuser: str) -> None:
    dsn = read_environment(api_env_path(stack.state)).required("postgres_dsn")
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (API_ROLE,)
        assert connection.execute("SELECT count(*) >= 0 FROM fashion_files").fetchone() == (True,)
        for statement in (
            "CREATE TABLE own (id int)",
            "CREATE TEMPORARY TABLE own (id int)",
            "CREATE SCHEMA own",
            "SET row_security = off; SELECT * FROM unpublished_products",
            "SET ROLE catalog",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
    for database in ("mlflow_db", "airflow"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(dsn, dbname=database)
    with psycopg.connect(superuser) as connection:
        rights = (
            "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = ANY (%s)"
        )
        assert connection.execute(rights, [list(ROLES)]).fetchall() == [(False,)] * len(ROLES)


def test_a_role_that_was_given_more_than_it_needs_loses_it_at_the_next_start(stack: Stack, superuser: str) -> None:
    passwords = {role: stack.state.secret(f"postgres-{role}-password") for role in ROLES}
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {API_ROLE} BYPASSRLS".encode())
        make_databases(superuser, passwords)
        bypasses = "SELECT rolbypassrls FROM pg_roles WHERE rolname = %s"
        assert connection.execute(bypasses, [API_ROLE]).fetchone() == (False,)


def test_the_owner_of_the_tables_sees_nothing_that_is_not_published(stack: Stack) -> None:
    insert = """INSERT INTO unpublished_products
        (filename, s3_path, product_display_name, dataset, owner, image_sha256, reference)
        VALUES ('x', 'x', 'x', 'curator', 'aurora', 'x', 'of the test of databases')"""
    hers = "SELECT count(*) FROM unpublished_products WHERE reference = 'of the test of databases'"
    with psycopg.connect(stack.settings().required("postgres_dsn")) as connection:
        connection.execute("SELECT set_config('tejido.tenant', 'aurora', true)")
        connection.execute(insert)
        assert connection.execute(hers).fetchone() == (1,)
        connection.execute("SELECT set_config('tejido.tenant', '', true)")
        assert connection.execute(hers).fetchone() == (0,)
        connection.rollback()
