"""The key by which the operator signs what a client lets in: Ed25519, known to clients by their policies.

What is signed is a run's contract, which names its bundle of programs. It begins with words of its own, so that no
signature made for another purpose by the same key can stand in its place.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.files import write_secret
from security.ed25519 import from_openssh, new_openssh
from security.errors import BundleKeyUnreadable

PURPOSE = b"tejido run contract\n"


def bundle_key(path: Path) -> Path:
    """The file of the signing key, made the first time."""
    if not path.exists():
        write_secret(path, new_openssh())
    return path


def verifying_key(path: Path) -> str:
    """The public key of a signing key file, on one line, as OpenSSH writes it and policies name it.

    Raises:
        BundleKeyUnreadable: the file is missing, damaged, or another kind of key.
    """
    public = _load(path).public_key()
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def sign(path: Path, text: str) -> str:
    """The signature of a contract, in base64.

    Args:
        path: file of the signing key.
        text: the contract as it is spelt.

    Raises:
        BundleKeyUnreadable: the file is missing, damaged, or another kind of key.
    """
    return base64.b64encode(_load(path).sign(PURPOSE + text.encode())).decode()


def is_signed(text: str, signature: str, signers: Iterable[str]) -> bool:
    """Whether one of the signers (OpenSSH lines) signed a contract that is spelt so; nothing that is wrong raises."""
    try:
        given, signed = base64.b64decode(signature, validate=True), PURPOSE + text.encode()
    except (binascii.Error, ValueError):
        return False
    return any(_verifies(signer, given, signed) for signer in signers)


def checked_signer(line: str) -> str:
    """The line, if it is an Ed25519 public key in OpenSSH format.

    Raises:
        ValueError: it is none.
    """
    _public(line)
    return line


def _verifies(signer: str, signature: bytes, message: bytes) -> bool:
    try:
        _public(signer).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _public(line: str) -> Ed25519PublicKey:
    try:
        key = serialization.load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("no public key in OpenSSH format") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("no Ed25519 public key")  # noqa: TRY004 - a text that says something else
    return key


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        return from_openssh(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BundleKeyUnreadable(
            f"{path} is no Ed25519 private key in OpenSSH format.",
            hint="Restore it, or delete it; clients whose policy names the old key then need the new one.",
        ) from error
