"""The signing keys of a running process: read again when their folder changes, so that a rotation needs no restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from core.following import Followed
from security.signing_keys import SigningKey, SigningKeys


class FollowedKeys:
    """The keys of one folder as they are now; see `core.following.Followed`. A look lists the folder.

    Args:
        directory: as SigningKeys takes it; a first key is made when there is none.
        clock: seconds that only grow.

    Raises:
        SigningKeyMissing, SigningKeyUnreadable: see SigningKeys; at the beginning only.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        def read(former: SigningKeys | None) -> SigningKeys:
            return SigningKeys(directory) if former else SigningKeys.open(directory)

        self._keys = Followed(
            "signing keys",
            state=lambda: _state(directory),
            read=read,
            told=lambda keys: {"signs": keys.active.kid, "kids": keys.kids},
            clock=clock,
        )

    @property
    def active(self) -> SigningKey:
        """The key that signs."""
        return self._keys.current().active

    def public_pem(self, kid: str) -> str | None:
        """The public key that ``kid`` names, or None."""
        return self._keys.current().public_pem(kid)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys (RFC 7517)."""
        return self._keys.current().jwks()


def _state(directory: Path) -> tuple[tuple[str, int, int, int], ...]:
    """What any change of the keys changes: each is written as a new file that takes the place of the old one."""
    if not directory.exists():
        return ()
    files = [path for path in directory.iterdir() if path.suffix == ".pem" or path.name == "active"]
    stats = [(path.name, path.stat()) for path in sorted(files)]
    return tuple((name, stat.st_ino, stat.st_mtime_ns, stat.st_mode) for name, stat in stats)
