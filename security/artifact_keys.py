"""The keys by which models and checkpoints are sealed: one folder, read anew at each use, so that a rotation needs no
restart of anything.

    wrapping.keys   Fernet keys, one a line, the newest first: the first one wraps data keys, each of them unwraps
    signing.key     Ed25519 private key (PEM) that signs manifests; only where artifacts are written
    trusted.keys    Ed25519 public keys, one a line in hex: what one of them has signed is believed

An object's data key lies beside it, wrapped; its name is a hash of the key, which the manifest holds. So another key,
or that of another object, is refused, and wrapping it anew changes neither object nor manifest. Nor does signing anew:
a signature by a later key lies beside the first. `security.artifact_rotation` replaces the keys.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.files import write_atomically, write_secret
from security.ed25519 import fingerprint, from_pem, new_pem
from security.envelope import KEY_BYTES
from security.errors import ArtifactKeyMissing, ArtifactKeyUnreadable, ArtifactRefused
from security.signing_keys import locked

WRAPPING, SIGNING, TRUSTED = "wrapping.keys", "signing.key", "trusted.keys"
AGAIN = " again"
"""Ends the purpose of a signature by a later key."""
SIGNATURE = re.compile(rb"ed25519 ([0-9a-f]{16}) ([0-9a-f]{128})\n")


@dataclass(frozen=True, repr=False)
class DataKey:
    """The key of one object."""

    key: bytes
    key_id: str
    """Hex SHA-256 that tells it from any other, and nothing of it."""
    wrapped: bytes
    """Encrypted by the newest wrapping key; may lie anywhere."""


@dataclass(frozen=True)
class ArtifactKeys:
    """The keys of one folder.

    Raises:
        ArtifactKeyMissing: a file is not there, which is meant so where this process may not sign.
        ArtifactKeyUnreadable: a file is damaged, or a secret one is open to other users.
    """

    directory: Path

    @classmethod
    def open(cls, directory: Path) -> ArtifactKeys:
        """The keys of ``directory``; what is missing is made. Safe to call from two processes."""
        found = cls(directory)
        with locked(directory):
            if not (directory / WRAPPING).exists():
                write_secret(directory / WRAPPING, Fernet.generate_key() + b"\n")
            if not (directory / SIGNING).exists():
                write_secret(directory / SIGNING, new_pem())
            known = (directory / TRUSTED).read_text().split() if (directory / TRUSTED).exists() else []
            own = found.signing_key().public_key().public_bytes_raw().hex()
            if own not in known:
                write_atomically(directory / TRUSTED, "".join(f"{key}\n" for key in [own, *known]).encode())
        return found

    def new_data_key(self) -> DataKey:
        """A key for one object."""
        key = secrets.token_bytes(KEY_BYTES)
        return DataKey(key, _key_id(key), self._fernet().encrypt(key))

    def unwrap(self, wrapped: bytes, key_id: str) -> bytes:
        """The data key that ``key_id`` names.

        Raises:
            ArtifactRefused: what is wrapped is another key, was changed, or was wrapped by a key that is not here.
        """
        try:
            # Another spelling of the same bytes is a change, too.
            if urlsafe_b64encode(urlsafe_b64decode(wrapped)) != wrapped:
                raise InvalidToken
            key = self._fernet().decrypt(wrapped)
        except (InvalidToken, ValueError):
            raise ArtifactRefused(
                "A data key cannot be unwrapped: it was changed, or its wrapping key is not here."
            ) from None
        if _key_id(key) != key_id:
            raise ArtifactRefused("A data key is refused: it is another object's.")
        return key

    def rewrap(self, wrapped: bytes) -> bytes:
        """The same data key, wrapped by the newest key; as it is where that was so already.

        Raises:
            ArtifactRefused: it was changed, or was wrapped by a key that is not here.
        """
        newest, *_ = self._wrapping()
        try:
            newest.decrypt(wrapped)
        except InvalidToken:
            try:
                return self._fernet().rotate(wrapped)
            except InvalidToken:
                raise ArtifactRefused(
                    "A data key cannot be wrapped anew: it was changed, or its key is gone."
                ) from None
        return wrapped

    def sign(self, data: bytes, *, purpose: str) -> bytes:
        """A signature of ``data`` for this purpose, as one line that names the key."""
        signer = self.signing_key()
        signature = signer.sign(_message(purpose, data))
        return f"ed25519 {fingerprint(signer.public_key())} {signature.hex()}\n".encode()

    def verify(
        self, data: bytes, signature: bytes, *, purpose: str, again: Callable[[], bytes | None] | None = None
    ) -> None:
        """Insist that one of the trusted keys has signed ``data`` for this purpose.

        Args:
            data: what was signed.
            signature: as `sign` made it.
            purpose: what for.
            again: gives what `resign` has made, if anything; asked only where nobody trusts the first one's key.

        Raises:
            ArtifactRefused: none has.
        """
        trusted = {fingerprint(key): key for key in self.trusted()}
        signer, value = _parsed(signature)
        if signer not in trusted and again is not None and (later := again()):
            # It is also of the first signature, so that no byte of what is stored can be changed.
            data, purpose = data + signature, purpose + AGAIN
            signer, value = _parsed(later)
        if signer not in trusted:
            raise ArtifactRefused(f"It is signed by {signer}, whom nobody trusts here.")
        try:
            trusted[signer].verify(value, _message(purpose, data))
        except InvalidSignature:
            raise ArtifactRefused(f"It is not what key {signer} has signed.") from None

    def resign(self, data: bytes, signature: bytes, *, purpose: str, again: bytes | None) -> bytes | None:
        """A signature by the newest key, once one that is trusted holds; None where the newest has signed already.

        Args:
            data: what was signed.
            signature: the first one.
            purpose: what for.
            again: what was returned here before, after an earlier rotation.

        Raises:
            ArtifactRefused: no trusted key has signed it, and so no other will.
        """
        self.verify(data, signature, purpose=purpose, again=lambda: again)
        newest, whole, purpose = self.signer, data + signature, purpose + AGAIN
        if _parsed(signature)[0] == newest or (again and self._holds(whole, again, purpose=purpose, signer=newest)):
            return None
        return self.sign(whole, purpose=purpose)

    @property
    def signer(self) -> str:
        """The name of the key that signs."""
        return fingerprint(self.signing_key().public_key())

    def signing_key(self) -> Ed25519PrivateKey:
        """The key that signs."""
        path = self.directory / SIGNING
        try:
            return from_pem(_read(path, is_secret=True))
        except ValueError as error:
            raise _unreadable(path, str(error)) from None

    def trusted(self) -> list[Ed25519PublicKey]:
        """The keys whose signatures are believed."""
        return [_public(line, self.directory / TRUSTED) for line in self._lines(TRUSTED)]

    def wrapping_keys(self) -> list[str]:
        """The keys that wrap and unwrap data keys, the newest first; there is at least one."""
        found = self._lines(WRAPPING, is_secret=True)
        if not found:
            raise _unreadable(self.directory / WRAPPING, "is empty")
        return found

    def _holds(self, data: bytes, signature: bytes, *, purpose: str, signer: str) -> bool:
        try:
            self.verify(data, signature, purpose=purpose)
        except ArtifactRefused:
            # Of other bytes, which lay here before: there may be a newer marker of the same run.
            return False
        return _parsed(signature)[0] == signer

    def _fernet(self) -> MultiFernet:
        return MultiFernet(self._wrapping())

    def _wrapping(self) -> list[Fernet]:
        try:
            return [Fernet(line) for line in self.wrapping_keys()]
        except ValueError:
            raise _unreadable(self.directory / WRAPPING, "holds a line that is no Fernet key") from None

    def _lines(self, name: str, *, is_secret: bool = False) -> list[str]:
        try:
            return _read(self.directory / name, is_secret=is_secret).decode("ascii").split()
        except UnicodeDecodeError:
            raise _unreadable(self.directory / name, "is no text") from None


def _read(path: Path, *, is_secret: bool) -> bytes:
    try:
        with path.open("rb") as stream:
            if is_secret and stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
                raise _unreadable(path, "may be read by other users")
            return stream.read()
    except FileNotFoundError:
        raise ArtifactKeyMissing(
            f"{path} does not exist.",
            hint="Models and checkpoints are signed by the coordinator and the operator alone; `tejido up` makes keys.",
        ) from None


def _parsed(signature: bytes) -> tuple[str, bytes]:
    match = SIGNATURE.fullmatch(signature)
    if match is None:
        raise ArtifactRefused("It bears no signature.")
    return match[1].decode(), bytes.fromhex(match[2].decode())


def _public(text: str, path: Path) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        raise _unreadable(path, "holds a line that is no Ed25519 public key") from None


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"tejido data key\0" + key).hexdigest()


def _message(purpose: str, data: bytes) -> bytes:
    return b"tejido\0" + purpose.encode() + b"\0" + data


def _unreadable(path: Path, why: str) -> ArtifactKeyUnreadable:
    return ArtifactKeyUnreadable(f"{path} {why}.", hint="Restore it from a backup, and `chmod 600` it if it is secret.")
