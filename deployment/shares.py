"""Folders that are mounted read-only into one service each: the whole of the secrets that it can see."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.files import write_secret

DIRECTORY_MODE = 0o500


@dataclass(frozen=True)
class Share:
    """One such folder, and the user that its service runs as."""

    folder: Path
    owner: int

    def write(self, name: str, text: str) -> Path:
        """Write one file that only the owner reads."""
        path = self.folder / name
        # Its owner's before it takes the place of the former: a service that runs reads it all the while.
        write_secret(path, text.encode(), owner=self.owner)
        return path

    def close(self) -> None:
        """Give everything to the owner, to read and not to write."""
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, self.owner, self.owner)
        self.folder.chmod(DIRECTORY_MODE)
