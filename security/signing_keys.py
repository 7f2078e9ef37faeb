"""The ES256 keys that sign access tokens: files on disk, and the JWKS that others verify with.

A folder holds one PEM file per key, named by the key's RFC 7638 thumbprint (its ``kid``), and a file ``active`` that
names the key that signs. Rotation is three steps with a wait in between: ``publish`` a new key (it appears in the
JWKS), ``activate`` it once caches of the JWKS are stale, ``retire`` the old one once its last token has expired;
security.key_rotation knows when.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import stat
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.files import write_atomically, write_secret
from security.errors import SigningKeyMissing, SigningKeyUnreadable

COORDINATE_BYTES = 32


@dataclass(frozen=True)
class SigningKey:
    """One P-256 key pair, as the PEM text that python-jose takes."""

    kid: str
    private_pem: str
    public_pem: str
    jwk: dict[str, str]

    def __repr__(self) -> str:
        # The default would print the private key into any log that shows this object.
        return f"SigningKey(kid={self.kid!r})"


class Keys(Protocol):
    """What signs access tokens and verifies them: SigningKeys, or FollowedKeys in a process that goes on."""

    @property
    def active(self) -> SigningKey:
        """The key that signs."""

    def public_pem(self, kid: str) -> str | None:
        """The public key that ``kid`` names, or None."""

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys (RFC 7517)."""


class SigningKeys:
    """The keys of one folder, read once; make a new object to see what changed since.

    Raises:
        SigningKeyMissing: the folder has no usable active key.
        SigningKeyUnreadable: a file is damaged, misnamed, no P-256 key, or readable by other users.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._keys = {key.kid: key for key in map(_read, sorted(directory.glob("*.pem")))}
        marker = directory / "active"
        self._active = marker.read_text().strip() if marker.exists() else ""
        if self._active not in self._keys:
            raise SigningKeyMissing(
                f"{directory} has no active signing key.",
                hint="Start the stack with `tejido up`: it makes one at the first start.",
            )

    @classmethod
    def open(cls, directory: Path) -> SigningKeys:
        """The keys of ``directory``; the first one is made when there is none. Safe to call from two processes."""
        with locked(directory):
            if not any(directory.glob("*.pem")):
                _activate(directory, _make(directory))
        return cls(directory)

    @property
    def active(self) -> SigningKey:
        """The key that signs."""
        return self._keys[self._active]

    def public_pem(self, kid: str) -> str | None:
        """The public key that ``kid`` names, or None: the only way from a token's header to a key."""
        key = self._keys.get(kid)
        return key.public_pem if key else None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys, as ``/.well-known/jwks.json`` serves them (RFC 7517)."""
        return {"keys": [dict(key.jwk) for key in self._keys.values()]}

    def publish(self) -> SigningKeys:
        """Add a new key to the folder: verifiable from now on, not signing yet."""
        with locked(self._directory):
            _make(self._directory)
        return SigningKeys(self._directory)

    def activate(self, kid: str) -> SigningKeys:
        """Sign with ``kid`` from now on; the others still verify."""
        if kid not in self._keys:
            raise SigningKeyMissing(f"There is no signing key {kid}.", hint="Publish it first.")
        with locked(self._directory):
            _activate(self._directory, kid)
        return SigningKeys(self._directory)

    def retire(self, kid: str) -> SigningKeys:
        """Remove ``kid``: tokens that it signed are refused from now on."""
        if kid == self._active:
            raise SigningKeyMissing(f"{kid} is the key that signs.", hint="Activate another key before retiring it.")
        with locked(self._directory):
            (self._directory / f"{kid}.pem").unlink(missing_ok=True)
        return SigningKeys(self._directory)

    @property
    def kids(self) -> list[str]:
        """The names of all keys of the folder."""
        return list(self._keys)


@contextmanager
def locked(directory: Path, name: str = ".lock") -> Iterator[None]:
    """Whoever else asks for the same lock of ``directory``, in any process, waits until the block ends."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(directory: Path) -> str:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    kid = _jwk(private.public_key())["kid"]
    write_secret(directory / f"{kid}.pem", pem)
    return kid


def _activate(directory: Path, kid: str) -> None:
    write_atomically(directory / "active", kid.encode())


def _read(path: Path) -> SigningKey:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SigningKeyUnreadable(f"{path} may be read by other users.", hint=f"chmod 600 {path}")
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise SigningKeyUnreadable(f"{path} is not a PEM private key: {error}", hint="Restore or delete it.") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise SigningKeyUnreadable(f"{path} is not a P-256 key.", hint="Tokens are signed with ES256 only.")
    jwk = _jwk(private.public_key())
    if jwk["kid"] != path.stem:
        raise SigningKeyUnreadable(f"{path} holds key {jwk['kid']}.", hint="The file must bear its key's thumbprint.")
    public_pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return SigningKey(jwk["kid"], path.read_text(), public_pem.decode(), jwk)


def _jwk(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = public.public_numbers()
    thumbed = {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}
    # RFC 7638: the required members only, in lexicographic order, without spaces.
    canonical = json.dumps(thumbed, sort_keys=True, separators=(",", ":")).encode()
    kid = _base64url(hashlib.sha256(canonical).digest())
    return {**thumbed, "kid": kid, "use": "sig", "alg": "ES256"}


def _coordinate(value: int) -> str:
    return _base64url(value.to_bytes(COORDINATE_BYTES, "big"))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
