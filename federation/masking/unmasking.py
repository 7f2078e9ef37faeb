"""The masks of a sum taken off, by what the participants that are left reveal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from federation.errors import UnmaskingFailed
from federation.masking.keys import PublicKeys, commitment, public_of
from federation.masking.masks import Lanes, add_mask, subtract_mask
from federation.masking.participant import Revealed, mask_key
from federation.masking.session import Session
from federation.masking.shamir import combine


@dataclass(frozen=True)
class Unmasking:
    """A sum of masked terms, and what is needed to unmask it."""

    session: Session
    keys: Mapping[str, PublicKeys]
    """Of all who were named when shares were made, by name."""
    survivors: tuple[str, ...]
    """Whose terms are in the sum."""
    dropped: tuple[str, ...]
    """Who shared, and whose terms are not in it."""
    threshold: int

    def of(self, lanes: Lanes, revealed: Mapping[str, Revealed]) -> None:
        """Take the masks off, in place: those of the survivors' own, and those they share with who dropped out.

        Cost: a mask for each survivor, and one for each survivor and each that dropped out.

        Args:
            lanes: the sum.
            revealed: by whom, what.

        Raises:
            UnmaskingFailed: too few revealed, or what they revealed is not what they were given. The sum is as before.
        """
        if len(revealed) < self.threshold:
            raise UnmaskingFailed(f"{len(revealed)} participants helped to unmask; {self.threshold} are needed.")
        points = {name: place for place, name in enumerate(sorted(self.keys), start=1)}
        # As many as are needed: more of them add nothing, and each could be wrong.
        helpers = sorted(revealed)[: self.threshold]
        seeds = {owner: combine({points[n]: revealed[n].seeds[owner] for n in helpers}) for owner in self.survivors}
        masks = {owner: combine({points[n]: revealed[n].masks[owner] for n in helpers}) for owner in self.dropped}
        for owner, seed in seeds.items():
            if commitment(self.session, seed) != self.keys[owner].commitment:
                raise UnmaskingFailed(f"What was revealed is not the mask of {owner}.")
        for owner, private in masks.items():
            if public_of(private) != self.keys[owner].mask:
                raise UnmaskingFailed(f"What was revealed is not the key of {owner}.")
        for seed in seeds.values():
            subtract_mask(lanes, seed)
        for gone, private in masks.items():
            for left in self.survivors:
                key = mask_key(private, self.keys[left].mask, self.session, left, gone)
                (subtract_mask if left < gone else add_mask)(lanes, key)
