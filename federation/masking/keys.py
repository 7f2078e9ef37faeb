"""Keys of one participant in one session, and what two of them agree on: X25519, HKDF-SHA256, AES-256-GCM.

Each session has fresh ones. Who relays the public keys could put its own in their place, unless participants look at
their vouchers: docs/explanation/masking.md.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federation.errors import MaskingRefused
from federation.masking.session import Session

KEY_BYTES = 32
NONCE_BYTES = 12
MAX_VOUCHER = 256
PROBE = bytes([1] * KEY_BYTES)
"""A private key that is no secret: with any of them, a public key of low order gives nothing but zeros."""


@dataclass(frozen=True)
class PublicKeys:
    """What a participant tells the others, 32 bytes each."""

    channel: bytes
    """For what is sealed to it."""
    mask: bytes
    """For the mask that it shares with each other participant."""
    commitment: bytes
    """To the seed of its own mask: who puts that together can tell whether it is the right one."""
    voucher: bytes = field(default=b"", compare=False)
    """By which other clients tell whose they are, `security.vouchers`; b"" where clients have no keys of their own."""

    def __post_init__(self) -> None:
        for part in (self.channel, self.mask, self.commitment):
            if not isinstance(part, bytes) or len(part) != KEY_BYTES:
                raise MaskingRefused("A public key of a masked round is not 32 bytes long.")
        if not isinstance(self.voucher, bytes) or len(self.voucher) > MAX_VOUCHER:
            raise MaskingRefused("The voucher of a public key is none.")
        for key in (self.channel, self.mask):
            # Found here, one such key costs its owner the round; found later, everybody.
            agreed(PROBE, key, about=b"probe")


@dataclass(frozen=True)
class SecretKeys:
    """What a participant keeps, 32 bytes each, no longer than the session."""

    channel: bytes
    mask: bytes
    seed: bytes
    """Of its own mask."""

    @classmethod
    def new(cls) -> SecretKeys:
        """Fresh ones, of the operating system's randomness."""
        return cls(*(secrets.token_bytes(KEY_BYTES) for _ in range(3)))

    def public(self, session: Session) -> PublicKeys:
        """What the others are told."""
        return PublicKeys(public_of(self.channel), public_of(self.mask), commitment(session, self.seed))

    def __repr__(self) -> str:
        # A log line or a traceback shall not hold them.
        return "SecretKeys(…)"


def public_of(private: bytes) -> bytes:
    """The public key that belongs to a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def commitment(session: Session, seed: bytes) -> bytes:
    """A hash that tells nothing of 32 random bytes, and that no others have."""
    return hashlib.sha256(session.bound("commitment") + seed).digest()


def agreed(private: bytes, public: bytes, *, about: bytes) -> bytes:
    """32 bytes that the holders of two private keys alone can know.

    Args:
        private: one's own.
        public: the other's.
        about: what they are for; other uses give other bytes.

    Raises:
        MaskingRefused: the public key is one of the few under which nothing is secret.
    """
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise MaskingRefused("A public key of a masked round is of low order.") from None
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=about).derive(shared)


def seal(key: bytes, plain: bytes, *, about: bytes) -> bytes:
    """Encrypt and authenticate, together with what it is about."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, about)


def unseal(key: bytes, sealed: bytes, *, about: bytes, sender: str) -> bytes:
    """What was sealed.

    Raises:
        MaskingRefused: it was not sealed with this key, or about something else, or it was altered; names the sender.
    """
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about)
    except (InvalidTag, ValueError):
        raise MaskingRefused(f"The share that was relayed from {sender} is not authentic.") from None
