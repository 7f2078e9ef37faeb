"""What a client has done in confidential rounds and must not do again: notes on its disk, without any secret.

Flower keeps a client's state in its SuperNode's memory, and hands each message's process a copy: two messages that come
at once find the same. A note is made by one process only.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from federation.errors import MaskingRefused
from federation.masking.keys import PublicKeys
from federation.masking.session import Session

KEPT_S = 90 * 24 * 3600.0
"""A run that goes on later than this is another one."""


class Promises:
    """The notes of one client."""

    def __init__(self, root: Path, *, owner: str) -> None:
        self._folder = root / owner / "masking"

    def once(self, stage: str, keys: PublicKeys) -> None:
        """Enter a stage with these keys.

        Raises:
            MaskingRefused: another process has.
        """
        if not self._note(f"{stage}-{hashlib.sha256(keys.mask).hexdigest()}", b""):
            raise MaskingRefused(f"It was asked to {stage} twice with the same keys.")

    def one_sum(self, session: Session, survivors: list[str]) -> None:
        """Help to unmask the sum of these clients' updates in this round; again, in another attempt, the same sum only.

        A client trains alike when a round is repeated, so two sums that differ by one client tell its update.

        Raises:
            MaskingRefused: it has helped to unmask another sum of this round.
        """
        about = Session(session.run, session.round, attempt=0).bound("sum")
        name, whose = f"sum-{hashlib.sha256(about).hexdigest()}", "\n".join(sorted(survivors)).encode()
        if not self._note(name, whose) and (self._folder / name).read_bytes() != whose:
            raise MaskingRefused(
                f"In round {session.round} it has helped to unmask the sum of other clients' updates: the two "
                "together would tell what a single client sent."
            )

    def _note(self, name: str, content: bytes) -> bool:
        """Whether the note is new."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._forget()
        # Written first, then linked: whoever finds the name finds the whole note.
        draft = self._folder / f".{name}.{os.getpid()}.{time.monotonic_ns()}"
        draft.write_bytes(content)
        try:
            os.link(draft, self._folder / name)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def _forget(self) -> None:
        for path in self._folder.iterdir():
            if path.stat().st_mtime < time.time() - KEPT_S:
                path.unlink(missing_ok=True)
