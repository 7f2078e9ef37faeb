"""Roles and databases of one server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from catalog.databases import make_databases
from core.names import ROLES
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
