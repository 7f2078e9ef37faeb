"""The state folder: where everything that the services keep is, and the lock that gives it to one process."""

from __future__ import annotations

import fcntl
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.files import secret_once
from embedded.errors import StackLocked, StateFolderUnusable

PRIVATE = 0o700
# PostgreSQL refuses to run as root; the user that it runs as then must be able to pass through.
PASSABLE = 0o711


@dataclass(frozen=True)
class StateFolder:
    """Paths below one state folder. ``root`` is absolute."""

    root: Path

    @classmethod
    def at(cls, root: Path) -> StateFolder:
        """The state folder at ``root``, made if need be.

        Raises:
            StateFolderUnusable: it cannot be made or written.
        """
        state = cls(root.expanduser().resolve())
        try:
            if not state.root.exists():
                state.root.mkdir(parents=True)
                state.root.chmod(PASSABLE if os.geteuid() == 0 else PRIVATE)
            for folder in (state.run, state.secrets, state.logs, state.root / "cache"):
                folder.mkdir(exist_ok=True, mode=PRIVATE)
        except OSError as error:
            raise StateFolderUnusable(
                f"The state folder {state.root} cannot be used: {error.strerror}.",
                hint="Give a folder that you may write with --state DIR.",
            ) from error
        return state

    @property
    def run(self) -> Path:
        """What describes the running stack: environment files, ports, URLs, the lock."""
        return self.root / "run"

    @property
    def secrets(self) -> Path:
        """Passwords and keys, each in a file of its own (0600)."""
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        """One log a service."""
        return self.root / "logs"

    @property
    def stack_id(self) -> str:
        """Marks every process that belongs to this folder; the same at each start."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:16]

    def folder(self, *names: str) -> Path:
        """A private folder below the root, made if need be."""
        path = self.root
        for name in names:
            path /= name
            path.mkdir(exist_ok=True, mode=PRIVATE)
        return path

    def secret(self, name: str, *, length_bytes: int = 32) -> str:
        """One secret: random bytes in URL-safe base64, made at the first start."""
        return secret_once(self.secrets / name, length_bytes=length_bytes)

    def secret_file(self, name: str) -> Path:
        """The file of such a secret, for those who are told where it is and not what it is."""
        self.secret(name)
        return self.secrets / name


class StateLock:
    """Held as long as a stack uses the folder; the kernel frees it when the process ends, however it ends."""

    def __init__(self, state: StateFolder) -> None:
        self._state = state
        self._stream: IO[str] | None = None

    def acquire(self) -> None:
        """Take the folder.

        Raises:
            StackLocked: another process has it.
        """
        stream = (self._state.run / "lock").open("a+")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            stream.close()
            raise StackLocked(self._state.root, holder=holder) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        self._stream = stream

    def release(self) -> None:
        """Give the folder back; harmless when it is not held."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
