"""The key by which a client signs what it notes of its own machine: Ed25519, made there at the first use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.files import write_secret
from security.ed25519 import fingerprint, from_pem, new_pem
from security.errors import ReceiptKeyUnreadable

FILE = "receipts.key"
RECEIPT, CONTRACT = b"tejido receipt\0", b"tejido contract of a client\0"
ROUND_KEYS = b"tejido round keys\0"
"""What is signed begins with what it is signed as."""


@dataclass(frozen=True, repr=False)
class ReceiptKey:
    """One client's key. Its node's key proves the client to the coordinator; this one vouches for its notes.

    ClientApps do not have the node's key, and shall not.
    """

    _private: Ed25519PrivateKey

    @classmethod
    def open(cls, folder: Path) -> ReceiptKey:
        """The key in ``folder``, made the first time; whoever calls it holds the folder's lock.

        Raises:
            ReceiptKeyUnreadable: the file is damaged, or no Ed25519 key.
        """
        path = folder / FILE
        if not path.exists():
            write_secret(path, new_pem())
        try:
            return cls(from_pem(path.read_bytes()))
        except ValueError:
            raise ReceiptKeyUnreadable(
                f"{path} is no Ed25519 private key in PEM.", hint="Restore it: it vouches for the receipts beside it."
            ) from None

    @property
    def key_id(self) -> str:
        """Hex digits that name it."""
        return fingerprint(self._private.public_key())

    @property
    def public(self) -> str:
        """The public key, in hex."""
        return self._private.public_key().public_bytes_raw().hex()

    def sign(self, data: bytes, purpose: bytes = RECEIPT) -> str:
        """A signature, in hex."""
        return self._private.sign(purpose + data).hex()

    def has_signed(self, data: bytes, signature: str, purpose: bytes = RECEIPT) -> bool:
        """Whether it is this key's signature of ``data``."""
        return verifies(self.public, data, signature, purpose)


def verifies(public: str, data: bytes, signature: str, purpose: bytes = RECEIPT) -> bool:
    """Whether a client's key (its public half, in hex) signed ``data``; nothing that is wrong raises."""
    try:
        raw = bytes.fromhex(signature)
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(raw, purpose + data)
    except (InvalidSignature, ValueError):
        return False
    # Capitals and spaces would spell the same bytes.
    return raw.hex() == signature
