"""What one attempt at a masked sum is about; it is bound into every key and every sealed share."""

from __future__ import annotations

from dataclasses import dataclass

LEAST = 3
"""In a sum of two, each knows the other's term."""
MOST = 256
"""Each participant exchanges keys and shares with each other, and masks once for each."""


@dataclass(frozen=True)
class Session:
    """One attempt at one round of one run."""

    run: str
    round: int
    attempt: int

    def bound(self, *parts: str) -> bytes:
        """These parts in this session, as bytes that no other session or parts give: each is preceded by its length."""
        fields = [part.encode() for part in (self.run, str(self.round), str(self.attempt), *parts)]
        return b"".join(len(field).to_bytes(4) + field for field in fields)


def threshold_of(participants: int, *, needed: int = LEAST) -> int:
    """How many must be left at the end of a session that ``participants`` began.

    More than half: of two groups that are told different things about a participant, one is too small. So who is told
    that it dropped out, and who is told that it did not, cannot both give away what masks it.
    """
    return max(needed, LEAST, participants // 2 + 1)
