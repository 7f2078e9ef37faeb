"""Files that are either whole or absent, and secrets that only their owner reads."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

SECRET_MODE = 0o600


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644, owner: int | None = None) -> None:
    """Replace ``path`` by ``data`` in one step; a reader sees the old file or the new, never a part.

    Args:
        path: its folder is made if need be.
        data: all of it.
        mode: who may read it.
        owner: id of the user and group that it is given to, before it can be seen.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        if owner is not None:
            os.chown(temporary, owner, owner)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_secret(path: Path, data: bytes, *, owner: int | None = None) -> None:
    """Write a secret that only its owner may read (0600); see `write_atomically`."""
    write_atomically(path, data, mode=SECRET_MODE, owner=owner)


def secret_once(path: Path, *, length_bytes: int = 24) -> str:
    """The secret kept in ``path``; made at random the first time, so that no default value ever exists."""
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(length_bytes).encode())
    return path.read_text()
