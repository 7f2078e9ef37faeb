"""Every secret of a deployment, made at random at its first start and kept in one folder that no service sees."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.files import secret_once
from security.bundles import bundle_key


@dataclass(frozen=True)
class Keys:
    """The folder."""

    folder: Path

    def secret(self, name: str, *, length_bytes: int = 32) -> str:
        """One secret: random bytes in URL-safe base64, so that it needs no quoting anywhere."""
        return secret_once(self.folder / name, length_bytes=length_bytes)

    @property
    def tls(self) -> Path:
        """The authority and the SuperLink's certificate."""
        return self.folder / "tls"

    @property
    def nodes(self) -> Path:
        """Key pairs of the SuperNodes."""
        return self.folder / "nodes"

    @property
    def artifacts(self) -> Path:
        """What models and checkpoints are sealed with."""
        return self.folder / "artifacts"

    @property
    def bundle_key(self) -> Path:
        """The key that signs app bundles; made the first time."""
        return bundle_key(self.folder / "bundle-signing.key")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone: clients may be set up at the same time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield
