"""SQL in the database's container, and a writer that remembers what the database has acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.acceptance.compose.deployment import Deployment

PSQL = (
    'PGPASSWORD=$(cat /run/tejido/password) exec psql -h 127.0.0.1 -U postgres -d catalog -v ON_ERROR_STOP=1 -qtAc "$0"'
)


def sql(deployment: Deployment, statement: str) -> list[str] | None:
    """The rows of a statement, each a line; None when the database did not do it."""
    done = deployment.execute("postgres", "sh", "-c", PSQL, statement)
    return done.stdout.split() if done.returncode == 0 else None


@contextmanager
def writing(deployment: Deployment) -> Iterator[list[str]]:
    """Rows go into a table of their own, one after the other, as long as the block lasts; those acknowledged so far."""
    assert sql(deployment, "CREATE TABLE acknowledged (id bigserial PRIMARY KEY)") is not None
    acknowledged: list[str] = []
    done = threading.Event()

    def write() -> None:
        while not done.wait(0.05):
            acknowledged.extend(sql(deployment, "INSERT INTO acknowledged DEFAULT VALUES RETURNING id") or ())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield acknowledged
    finally:
        done.set()
        writer.join()
