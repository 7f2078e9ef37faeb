"""The files in which the operator's programs find clients' buckets with their keys: changed one entry at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.files import write_atomically
from core.names import client_bucket_name
from core.settings import Bucket, ClientBucket, Settings

GROUP_MAY_READ = 0o640
"""In containers the worker runs as Airflow's user, in the same group."""
Entry = dict[str, Any]


def entries(path: Path) -> list[Entry]:
    """All of a file; nothing where there is none yet."""
    return list(json.loads(path.read_text())) if path.exists() else []


def of_client(path: Path, name: str) -> list[Entry]:
    """The entries of one client: its bucket, or the user who may read its pictures."""
    return [entry for entry in entries(path) if _is_of(entry, name)]


def bucket_of(path: Path, name: str) -> Bucket | None:
    """A client's bucket, with the keys that open it."""
    return next((ClientBucket(**entry) for entry in of_client(path, name) if entry.get("name") == name), None)


def lists_of(settings: Settings) -> list[Path]:
    """The files of this process that there are."""
    return [path for path in (settings.clients_file, settings.readers_file) if path is not None and path.exists()]


def put(path: Path, bucket: ClientBucket) -> None:
    """Write down a client's bucket, in place of what stands there of it; in the order of names."""

    def changed(found: list[Entry]) -> list[Entry]:
        mine = {**bucket.model_dump(), "secret_key": bucket.secret_key.get_secret_value()}
        others = [entry for entry in found if entry["name"] != bucket.name]
        return sorted([*others, mine], key=lambda entry: str(entry["name"]))

    _change(path, changed)


def leave_out(path: Path, name: str) -> None:
    """Forget a client; nothing is written where it does not stand."""
    _change(path, lambda found: [entry for entry in found if not _is_of(entry, name)])


def _change(path: Path, changed: Callable[[list[Entry]], list[Entry]]) -> None:
    with _alone(path.parent):
        before = entries(path)
        after = changed(before)
        if after != before:
            mode = path.stat().st_mode & 0o777 if path.exists() else GROUP_MAY_READ
            write_atomically(path, json.dumps(after, indent=2).encode(), mode=mode)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other command changes a file of the folder meanwhile, whoever it runs as: to lock it needs reading alone."""
    lock = os.open(folder / ".lock", os.O_RDONLY | os.O_CREAT, GROUP_MAY_READ)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _is_of(entry: Entry, name: str) -> bool:
    return entry.get("name") == name or entry.get("bucket") == client_bucket_name(name)
