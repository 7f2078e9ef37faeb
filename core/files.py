"""Files that are either whole or absent, and secrets that only their owner reads."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    with _draft(path, data, mode=mode, owner=owner) as draft:
        draft.replace(path)


def write_secret(path: Path, data: bytes, *, owner: int | None = None) -> None:
    """Write a secret that only its owner may read (0600); see `write_atomically`."""
    write_atomically(path, data, mode=SECRET_MODE, owner=owner)


def secret_once(path: Path, *, length_bytes: int = 24) -> str:
    """The secret kept in ``path``; made at random the first time, so that no default value ever exists.

    Of several that make it at once, in whatever processes, one wins, and all return its secret.
    """
    if not path.exists():
        secret = secrets.token_urlsafe(length_bytes).encode()
        with _draft(path, secret, mode=SECRET_MODE) as draft, suppress(FileExistsError):
            # A link, unlike a rename, replaces nothing: who comes second reads what the first one made.
            os.link(draft, path)
    return path.read_text()


@contextmanager
def _draft(path: Path, data: bytes, *, mode: int, owner: int | None = None) -> Iterator[Path]:
    """A whole file beside ``path``, on the disk; gone at the end unless it was given another name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(mode)
        if owner is not None:
            os.chown(draft, owner, owner)
        yield draft
    finally:
        draft.unlink(missing_ok=True)
