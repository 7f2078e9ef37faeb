"""What a client has done in confidential rounds and must not do again: notes on its disk, without any secret.

Flower keeps a client's state in its SuperNode's memory, and hands each message's process a copy: two messages that come
at once find the same. A note is made by one process only, and is on the disk before anything leaves that it is about.

They lie beside the client's receipts, outside its caches: who clears them clears what the client has promised.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from clients.errors import PromiseUnwritable
from clients.receipts import receipts_folder
from core.settings import Settings
from federation.errors import MaskingRefused
from federation.masking.keys import PublicKeys
from federation.masking.session import Session

KEPT_S = 90 * 24 * 3600.0
"""A run that goes on later than this is another one."""
FOLDER = "masking"


class Promises:
    """The notes of one client.

    Args:
        folder: made with the first note.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, settings: Settings, owner: str) -> Promises:
        """Those of the client whose settings these are; of a virtual one, which keeps no receipts, in the cache."""
        root = receipts_folder(settings) if settings.client_name else settings.features_dir / owner
        return cls(root / FOLDER)

    def once(self, stage: str, keys: PublicKeys) -> None:
        """Enter a stage with these keys.

        Raises:
            MaskingRefused: another process has.
            PromiseUnwritable: it cannot be noted.
        """
        if not self._note(f"{stage}-{hashlib.sha256(keys.mask).hexdigest()}", b""):
            raise MaskingRefused(f"It was asked to {stage} twice with the same keys.")

    def one_sum(self, session: Session, survivors: list[str]) -> None:
        """Help to unmask the sum of these clients' updates in this round; again, in another attempt, the same sum only.

        A client trains alike when a round is repeated, so two sums that differ by one client tell its update.

        Raises:
            MaskingRefused: it has helped to unmask another sum of this round.
            PromiseUnwritable: it cannot be noted, or what was noted cannot be read.
        """
        about = Session(session.run, session.round, attempt=0).bound("sum")
        name, whose = f"sum-{hashlib.sha256(about).hexdigest()}", "\n".join(sorted(survivors)).encode()
        if not self._note(name, whose) and self._noted(name) != whose:
            raise MaskingRefused(
                f"In round {session.round} it has helped to unmask the sum of other clients' updates: the two "
                "together would tell what a single client sent."
            )

    def _note(self, name: str, content: bytes) -> bool:
        """Whether the note is new; it is on the disk when this returns."""
        try:
            _make(self._folder)
            self._forget()
            # Written first, then linked: whoever finds the name finds the whole note.
            draft = self._folder / f".{name}.{os.getpid()}.{time.monotonic_ns()}"
            try:
                with draft.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                return self._link(draft, name)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(error) from None

    def _link(self, draft: Path, name: str) -> bool:
        try:
            os.link(draft, self._folder / name)
        except FileExistsError:
            return False
        finally:
            # Also where another process made it: that one may not have come so far.
            _sync(self._folder)
        return True

    def _noted(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise _unwritable(error) from None

    def _forget(self) -> None:
        for path in self._folder.iterdir():
            # Another process forgets, too, and removes its drafts.
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - KEPT_S:
                    path.unlink()


def _unwritable(error: OSError) -> PromiseUnwritable:
    # The coordinator is told, and not where the folder is.
    return PromiseUnwritable(
        f"What it has done in the round cannot be noted: {error.strerror}.",
        hint="A client masks and reveals nothing that it cannot remember: make room, or set TEJIDO_RECEIPTS_DIR.",
    )


def _make(folder: Path) -> None:
    """Make a folder and those above it, each on the disk before the next."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
