"""One participant of a masked sum, from stage to stage; what it refuses is what keeps its term its own.

    begin → share → accept → mask → reveal

Each stage is entered once. Asked twice to mask, or to reveal, it could be played off against itself: two sums that
differ in one participant give away that participant's term.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from federation.errors import MaskingRefused
from federation.masking.keys import PublicKeys, SecretKeys, agreed, seal, unseal
from federation.masking.masks import Lanes, add_mask, subtract_mask
from federation.masking.session import LEAST, MOST, Session, threshold_of
from federation.masking.shamir import SHARE_BYTES, split

ADVERTISED, SHARED, ACCEPTED, MASKED = "advertised", "shared", "accepted", "masked"


@dataclass(frozen=True)
class Revealed:
    """What a participant gives at the end: its shares of one secret of each other participant, and never of both."""

    seeds: Mapping[str, bytes]
    """Of those whose terms are in the sum, itself included: of the seed of its own mask."""
    masks: Mapping[str, bytes]
    """Of those who dropped out: of the key by which others masked for it."""


@dataclass(frozen=True)
class Participant:
    """What one participant remembers between two messages; secrets of its own until it has masked, no longer."""

    name: str
    session: Session
    stage: str = ADVERTISED
    secret: SecretKeys | None = field(default=None, repr=False)
    threshold: int = 0
    keys: Mapping[str, PublicKeys] = field(default_factory=dict)
    """Of all participants, itself included, by name in alphabetical order."""
    held: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Whose share it holds → the share of its seed, followed by that of its mask key."""

    @classmethod
    def begin(cls, name: str, session: Session) -> tuple[Participant, PublicKeys]:
        """With fresh keys, and what to tell the others of them."""
        secret = SecretKeys.new()
        return cls(name, session, secret=secret), secret.public(session)

    def share(self, keys: Mapping[str, PublicKeys], threshold: int) -> tuple[Participant, dict[str, bytes]]:
        """Take the others' keys, and seal a share of one's secrets for each of them.

        Args:
            keys: of all participants; among them the ones that this one advertised.
            threshold: how many participants' shares give a secret back.

        Raises:
            MaskingRefused: too few or too many participants, too low a threshold, keys that are not one's own, or
                twice the same.
        """
        secret = self._secret(ADVERTISED)
        if not LEAST <= len(keys) <= MOST:
            raise MaskingRefused(f"{len(keys)} participants were named; a masked round has {LEAST} to {MOST}.")
        if keys.get(self.name) != secret.public(self.session):
            raise MaskingRefused("This participant's keys are not those that it advertised.")
        if any(len({getattr(theirs, part) for theirs in keys.values()}) < len(keys) for part in ("channel", "mask")):
            raise MaskingRefused("Two participants have the same key.")
        if not threshold_of(len(keys)) <= threshold <= len(keys):
            raise MaskingRefused(
                f"Shares of {threshold} of {len(keys)} participants shall be enough to unmask; at least "
                f"{threshold_of(len(keys))} must be needed."
            )
        keys = dict(sorted(keys.items()))
        parts = [split(part, threshold=threshold, shares=len(keys)) for part in (secret.seed, secret.mask)]
        shares = {name: seed + mask for name, seed, mask in zip(keys, *parts, strict=True)}
        held = {self.name: shares.pop(self.name)}
        sealed = {
            name: seal(self._channel(secret, self.name, name, keys[name]), share, about=self._route(self.name, name))
            for name, share in shares.items()
        }
        return replace(self, stage=SHARED, threshold=threshold, keys=keys, held=held), sealed

    def accept(self, sealed: Mapping[str, bytes]) -> Participant:
        """Take what the others sealed for this one; who is missing here has dropped out, and no mask counts on it.

        Args:
            sealed: sender → what it sealed.

        Raises:
            MaskingRefused: a share is altered, or not from whom it is said to be, or there are too few.
        """
        secret = self._secret(SHARED)
        if strangers := sorted(set(sealed) - set(self.keys) | set(sealed) & {self.name}):
            raise MaskingRefused(f"A share was relayed from {', '.join(strangers)}, of whom none is due.")
        if len(sealed) + 1 < self.threshold:
            raise MaskingRefused(f"{len(sealed) + 1} participants shared; {self.threshold} are needed.")
        held = {name: self._unsealed(secret, name, share) for name, share in sealed.items()}
        if any(len(share) != 2 * SHARE_BYTES for share in held.values()):
            raise MaskingRefused("A share that was relayed is not as long as shares are.")
        return replace(self, stage=ACCEPTED, held=dict(sorted({**held, **self.held}.items())))

    def mask(self, lanes: Lanes) -> Participant:
        """Mask one's term, in place; from here on this participant knows no secret of its own.

        Raises:
            MaskingRefused: it has masked already, or a key is of low order.
        """
        secret = self._secret(ACCEPTED)
        # Before the term is touched: what is refused half way would be masked half.
        shared = {name: mask_key(secret.mask, self.keys[name].mask, self.session, self.name, name)
                  for name in self.held if name != self.name}  # fmt: skip
        add_mask(lanes, secret.seed)
        for name, key in shared.items():
            (add_mask if self.name < name else subtract_mask)(lanes, key)
        return replace(self, stage=MASKED, secret=None)

    def reveal(self, survivors: Collection[str], dropped: Collection[str]) -> Revealed:
        """Give what unmasks the sum of the survivors' terms. Whoever calls this keeps nothing of the participant.

        Raises:
            MaskingRefused: too few survive, somebody is said to have survived and dropped out, or the two together are
                not all that shared.
        """
        if self.stage != MASKED:
            raise MaskingRefused(f"It was asked to unmask while it had {self.stage}, or a second time.")
        kept, lost = set(survivors), set(dropped)
        if kept & lost:
            raise MaskingRefused("Somebody is said to have survived and to have dropped out: both secrets unmask it.")
        if kept | lost != set(self.held):
            raise MaskingRefused("Who survived and who dropped out are not those who shared.")
        if self.name not in kept:
            raise MaskingRefused("It masked its term, and is said to have dropped out.")
        if len(kept) < self.threshold:
            raise MaskingRefused(f"{len(kept)} participants are left; {self.threshold} are needed.")
        seeds = {name: self.held[name][:SHARE_BYTES] for name in sorted(kept)}
        return Revealed(seeds, {name: self.held[name][SHARE_BYTES:] for name in sorted(lost)})

    def to_bytes(self) -> bytes:
        """For who keeps it between two messages. It holds secrets."""
        return json.dumps(asdict(self), default=bytes.hex).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Participant:
        """Read what `to_bytes` gave."""
        values: dict[str, Any] = json.loads(data)
        secret = values["secret"]
        return cls(
            name=values["name"],
            session=Session(**values["session"]),
            stage=values["stage"],
            secret=SecretKeys(**_bytes(secret)) if secret else None,
            threshold=values["threshold"],
            keys={name: PublicKeys(**_bytes(keys)) for name, keys in values["keys"].items()},
            held=_bytes(values["held"]),
        )

    def _secret(self, stage: str) -> SecretKeys:
        if self.stage != stage or self.secret is None:
            raise MaskingRefused(
                f"It has {self.stage} already; each stage of a masked round is entered once, in order."
            )
        return self.secret

    def _unsealed(self, secret: SecretKeys, sender: str, share: bytes) -> bytes:
        key = self._channel(secret, sender, self.name, self.keys[sender])
        return unseal(key, share, about=self._route(sender, self.name), sender=sender)

    def _channel(self, secret: SecretKeys, sender: str, receiver: str, other: PublicKeys) -> bytes:
        return agreed(secret.channel, other.channel, about=self.session.bound("channel", sender, receiver))

    def _route(self, sender: str, receiver: str) -> bytes:
        return self.session.bound("share", sender, receiver)


def mask_key(private: bytes, public: bytes, session: Session, one: str, other: str) -> bytes:
    """The key of the mask that two participants share; the first in the alphabet adds it, the other takes it off."""
    return agreed(private, public, about=session.bound("mask", *sorted((one, other))))


def _bytes(values: Mapping[str, str]) -> dict[str, bytes]:
    return {name: bytes.fromhex(value) for name, value in values.items()}
