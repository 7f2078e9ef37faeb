"""What a run remembers of the updates that counted, from round to round; part of each checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MIN_PACES = 3
"""With fewer there is no median that one liar could not move."""
MAX_PACES = 50


@dataclass(frozen=True)
class Memory:
    """Paces of recently accepted updates, and the digests of all: an update counts once."""

    paces: tuple[float, ...] = ()
    digests: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_enough(self) -> bool:
        """Whether a new update can be held against the paces."""
        return len(self.paces) >= MIN_PACES

    def after(self, accepted: Iterable[tuple[float, str]]) -> Memory:
        """The memory after a round whose accepted updates have these paces and digests."""
        found = list(accepted)
        paces = (*self.paces, *(pace for pace, _ in found))[-MAX_PACES:]
        return Memory(paces, self.digests | {digest for _, digest in found})

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"paces": list(self.paces), "digests": sorted(self.digests)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Memory:
        """Read what `as_dict` gave."""
        return cls(tuple(values["paces"]), frozenset(values["digests"]))
