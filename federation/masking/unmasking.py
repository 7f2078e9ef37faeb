"""The masks of a sum taken off, by what the participants that are left reveal.

Who made a share garbage cannot be told from the share: who reveals it, or whose secret it is of and who sealed it. So
nobody is believed less of other secrets for it, but asked last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from federation.errors import UnmaskingFailed
from federation.masking.keys import PublicKeys, commitment, public_of
from federation.masking.masks import Lanes, add_mask, subtract_mask
from federation.masking.participant import Revealed, mask_key
from federation.masking.session import Session
from federation.masking.shamir import combine, share_at

Garbage = dict[str, list[str]]
"""Who revealed shares that are garbage, and of whose secrets."""


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

    def of(self, lanes: Lanes, revealed: Mapping[str, Revealed]) -> Garbage:
        """Take the masks off, in place: those of the survivors' own, and those they share with who dropped out.

        More shares than the threshold make up for one that is garbage, and for some cases of several.

        Cost: a mask for each survivor, and one for each survivor and each that dropped out. Where a share is garbage,
        its secret is put together anew at most once for each who revealed.

        Args:
            lanes: the sum.
            revealed: by whom, what.

        Returns:
            Who revealed shares that are garbage, and of whose secrets.

        Raises:
            UnmaskingFailed: too few revealed, or too much of it is garbage. The sum is as before.
        """
        if len(revealed) < self.threshold:
            raise UnmaskingFailed(f"{len(revealed)} participants helped to unmask; {self.threshold} are needed.")
        garbage: Garbage = {}
        seeds = {
            owner: self._secret(owner, {n: told.seeds[owner] for n, told in revealed.items()}, self._is_seed, garbage)
            for owner in self.survivors
        }
        masks = {
            owner: self._secret(owner, {n: told.masks[owner] for n, told in revealed.items()}, self._is_key, garbage)
            for owner in self.dropped
        }
        for seed in seeds.values():
            subtract_mask(lanes, seed)
        for gone, private in masks.items():
            for left in self.survivors:
                key = mask_key(private, self.keys[left].mask, self.session, left, gone)
                (subtract_mask if left < gone else add_mask)(lanes, key)
        return garbage

    def _secret(
        self, owner: str, shares: Mapping[str, bytes], fits: Callable[[str, bytes], bool], garbage: Garbage
    ) -> bytes:
        """The secret of ``owner``; adds to ``garbage`` whose shares of it are none."""
        points = {name: place for place, name in enumerate(sorted(self.keys), start=1)}
        helpers = sorted(shares, key=lambda name: (name in garbage, name))
        # As many as are needed: more of them add nothing, and each could be wrong. Then without each in turn.
        for start in range(len(helpers) if len(helpers) > self.threshold else 1):
            chosen = [*helpers[start:], *helpers[:start]][: self.threshold]
            believed = {points[name]: shares[name] for name in chosen}
            try:
                secret = combine(believed)
            except UnmaskingFailed:
                continue
            if not fits(owner, secret):
                continue
            for name in helpers if start else ():
                if shares[name] != share_at(points[name], believed):
                    garbage.setdefault(name, []).append(owner)
            return secret
        raise UnmaskingFailed(
            f"The shares of the secret of {owner} do not give it: garbage was revealed by one of "
            f"{', '.join(sorted(helpers))}, or sealed by {owner}."
        )

    def _is_seed(self, owner: str, secret: bytes) -> bool:
        return commitment(self.session, secret) == self.keys[owner].commitment

    def _is_key(self, owner: str, secret: bytes) -> bool:
        return public_of(secret) == self.keys[owner].mask
