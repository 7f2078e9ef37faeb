"""The key by which a client's node proves to the coordinator who it is: EC P-384, in OpenSSH format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.files import write_atomically, write_secret
from security.errors import NodeKeyUnreadable


@dataclass(frozen=True)
class NodeKey:
    """Where the two files are: the private one stays with the client, the public one is registered."""

    private: Path
    public: Path

    @property
    def public_text(self) -> str:
        """The public key on one line, as OpenSSH writes it."""
        return self.public.read_text().strip()

    @property
    def public_pem(self) -> str:
        """The same as PEM, as the coordinator lists it."""
        return public_pem(self.public_text)


def public_pem(line: str) -> str:
    """A public key in OpenSSH format as PEM."""
    key = serialization.load_ssh_public_key(line.encode())
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def node_key(folder: Path, name: str) -> NodeKey:
    """The key of the node ``name``, made the first time.

    Raises:
        NodeKeyUnreadable: the private key file is damaged or is no P-384 key.
    """
    key = NodeKey(folder / f"{name}.key", folder / f"{name}.pub")
    if not key.private.exists():
        private = ec.generate_private_key(ec.SECP384R1())
        write_secret(
            key.private,
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            ),
        )
    # The public file is always derived anew: it cannot disagree with the private one.
    write_atomically(key.public, _public_line(_load(key.private), name))
    return key


def _public_line(private: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    line = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line + b" " + name.encode() + b"\n"


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        private = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise _unreadable(path) from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP384R1):
        raise _unreadable(path)
    return private


def _unreadable(path: Path) -> NodeKeyUnreadable:
    return NodeKeyUnreadable(
        f"{path} is no P-384 private key in OpenSSH format.",
        hint="Restore it, or delete it and register the new public key: flwr supernode register.",
    )
