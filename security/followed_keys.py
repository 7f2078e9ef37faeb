"""The signing keys of a running process: read again when their folder changes, so that a rotation needs no restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from security.errors import SecurityError
from security.signing_keys import SigningKey, SigningKeys

LOOK_EVERY_S = 1.0

log = structlog.get_logger(__name__)


class FollowedKeys:
    """The keys of one folder as they are now, give or take a second. Safe to share between threads.

    A look lists the folder; only when something changed are the keys read. A folder that cannot be read while it is in
    use (half copied, a file open to others) leaves the keys of before in use, and the log says so at every look.

    Args:
        directory: as SigningKeys takes it; a first key is made when there is none.
        clock: seconds that only grow.

    Raises:
        SigningKeyMissing, SigningKeyUnreadable: see SigningKeys; at the beginning only.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._clock = directory, clock
        # Looked at before it is read: what changes in between is read once more.
        self._seen = _state(directory) if directory.exists() else ()
        self._keys = SigningKeys.open(directory)
        self._look_at = clock() + LOOK_EVERY_S
        self._lock = threading.Lock()

    @property
    def active(self) -> SigningKey:
        """The key that signs."""
        return self._current().active

    def public_pem(self, kid: str) -> str | None:
        """The public key that ``kid`` names, or None."""
        return self._current().public_pem(kid)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys (RFC 7517)."""
        return self._current().jwks()

    def _current(self) -> SigningKeys:
        # Whoever finds another looking goes on with the keys of before.
        if self._clock() >= self._look_at and self._lock.acquire(blocking=False):
            try:
                self._look_at = self._clock() + LOOK_EVERY_S
                self._look()
            finally:
                self._lock.release()
        return self._keys

    def _look(self) -> None:
        try:
            found = _state(self._directory)
            if found == self._seen:
                return
            self._keys = SigningKeys(self._directory)
        except (SecurityError, OSError) as error:
            log.error("the signing keys cannot be read again; those of before stay in use", error=str(error))
            return
        self._seen = found
        log.info("the signing keys have changed", signs=self._keys.active.kid, kids=self._keys.kids)


def _state(directory: Path) -> tuple[tuple[str, int, int, int], ...]:
    """What any change of the keys changes: each is written as a new file that takes the place of the old one."""
    files = [path for path in directory.iterdir() if path.suffix == ".pem" or path.name == "active"]
    stats = [(path.name, path.stat()) for path in sorted(files)]
    return tuple((name, stat.st_ino, stat.st_mtime_ns, stat.st_mode) for name, stat in stats)
