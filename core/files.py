"""Files that are either whole or absent, and secrets that only their owner reads."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SECRET_MODE = 0o600


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace ``path`` by ``data`` in one step; a reader sees the old file or the new, never a part."""
    with _draft(path, data, mode) as draft:
        draft.replace(path)


def write_secret(path: Path, data: bytes) -> None:
    """Write a secret that only its owner may read (0600)."""
    write_atomically(path, data, mode=SECRET_MODE)


def secret_once(path: Path, *, length_bytes: int = 24) -> str:
    """The secret kept in ``path``; made at random the first time, so that no default value ever exists.

    Of several that make it at once, in whatever processes, one wins, and all return its secret.
    """
    if not path.exists():
        with (
            _draft(path, secrets.token_urlsafe(length_bytes).encode(), SECRET_MODE) as draft,
            suppress(FileExistsError),
        ):
            # A link, unlike a rename, replaces nothing: who comes second reads what the first one made.
            os.link(draft, path)
    return path.read_text()


@contextmanager
def _draft(path: Path, data: bytes, mode: int) -> Iterator[Path]:
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
        yield draft
    finally:
        draft.unlink(missing_ok=True)
