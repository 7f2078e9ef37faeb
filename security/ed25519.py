"""Ed25519 private keys on the disk: made, read, and named. Whose a key is decides which format it has."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def new_pem() -> bytes:
    """A new private key: PKCS #8 in PEM, unencrypted."""
    return _new(serialization.PrivateFormat.PKCS8)


def new_openssh() -> bytes:
    """A new private key in OpenSSH's format, unencrypted."""
    return _new(serialization.PrivateFormat.OpenSSH)


def from_pem(data: bytes) -> Ed25519PrivateKey:
    """Read what `new_pem` made.

    Raises:
        ValueError: it is damaged, encrypted, or another kind of key.
    """
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is no private key in PEM") from None
    return _checked(key)


def from_openssh(data: bytes) -> Ed25519PrivateKey:
    """Read what `new_openssh` made.

    Raises:
        ValueError: it is damaged, encrypted, or another kind of key.
    """
    try:
        key = serialization.load_ssh_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is no private key in OpenSSH format") from None
    return _checked(key)


def fingerprint(public: Ed25519PublicKey) -> str:
    """16 hex digits that name a key."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def _new(how: serialization.PrivateFormat) -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(serialization.Encoding.PEM, how, serialization.NoEncryption())


def _checked(key: object) -> Ed25519PrivateKey:
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("is no Ed25519 key")  # noqa: TRY004 - a text that says something else
    return key
