"""Gives the folders that services keep their data in to the users that they run as."""

from __future__ import annotations

import os
from pathlib import Path

from core.files import write_atomically
from deployment.platform import Owners

AIRFLOWS = ("airflow-logs", "cache-worker")
SHARED = ("clients", "flwr")
"""Read and written by the operator's commands, wherever they run: by the platform's user, and by Airflow's."""
NOTIFY_URL, READERS = "notify-url", "readers.json"
PRIVATE, GROUP = 0o700, 0o2770
AIRFLOW_FILES = {
    "variables.yaml": "# Airflow's variables: NAME: value\n{}\n",
    "connections.yaml": "# Airflow's connections: NAME: a URI, or conn_type, host, login …\n{}\n",
}


def give_volumes(root: Path, owners: Owners) -> None:
    """Give each folder below ``root`` to the user of its service."""
    for folder in root.iterdir():
        owner = owners.airflow if folder.name in AIRFLOWS else owners.platform
        os.chown(folder, owner, owners.platform)
        folder.chmod(GROUP if folder.name in SHARED else PRIVATE)


def give_client_volumes(root: Path, owner: int) -> None:
    """Give each folder of a client to the platform's user."""
    for folder in root.iterdir():
        os.chown(folder, owner, owner)
        folder.chmod(PRIVATE)


def read_notify_url(folder: Path) -> str:
    """The web hook's address, which an operator may have put into a file; it often holds a token."""
    return _given(folder / NOTIFY_URL)


def read_readers(folder: Path) -> str:
    """Buckets and the keys of users who may read their pictures, which an operator may have put into a file."""
    return _given(folder / READERS)


def _given(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def write_airflow_files(folder: Path, owner: int) -> None:
    """Make empty files where an operator has none yet: Airflow refuses to start without them."""
    for name, text in AIRFLOW_FILES.items():
        path = folder / name
        if not path.exists():
            write_atomically(path, text.encode(), mode=0o600)
            os.chown(path, owner, owner)
