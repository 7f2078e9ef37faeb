"""Puts right what a SuperLink that was killed left in its database: `python -m deployment.nodes FILE`."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path


def mark_all_nodes_offline(database: Path) -> None:
    """Correct what a SuperLink that was killed could not write; only while none runs.

    Flower refuses a node that its database has as online, until the heartbeat has been silent for a minute: after a
    crash every SuperNode would end with code 305. The table is that of the locked version, and a test holds to it.
    """
    if not database.exists():
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'node'").fetchone():
            connection.execute("UPDATE node SET status = 'offline' WHERE status = 'online'")


if __name__ == "__main__":
    mark_all_nodes_offline(Path(sys.argv[1]))
