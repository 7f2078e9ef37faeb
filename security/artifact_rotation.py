"""Replaces the keys that wrap data keys and sign manifests, in three steps that each may break off and be taken again.

`begin` puts new keys in use and leaves the old ones in force: the new public key is trusted before anything is signed
by its private one, which takes the old one's place. Then all that is kept is wrapped and signed anew (server.renewal),
and `retire` forgets the old keys. It asks for the word of whoever did so, as it may have no way to what is kept: a
line, signed by the newest key, that names the newest keys, and that `word` gives before the work, to be kept after it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from cryptography.fernet import Fernet

from core.files import write_atomically, write_secret
from security.artifact_keys import SIGNING, TRUSTED, WRAPPING, ArtifactKeys
from security.ed25519 import from_pem, new_pem
from security.errors import ArtifactRefused, RotationUnfinished
from security.signing_keys import locked

PENDING, PURPOSE = "rotation.pending", "renewed"


@dataclass(frozen=True)
class Retired:
    """How many keys were forgotten."""

    wrapping: int
    signing: int


@dataclass(frozen=True)
class ArtifactRotation:
    """The rotation of the keys of one folder. Safe to use from several processes at once.

    Raises:
        ArtifactKeyMissing, ArtifactKeyUnreadable: see ArtifactKeys.
    """

    keys: ArtifactKeys

    def begin(self) -> bool:
        """Put a new wrapping key first, and sign with a new key.

        Returns:
            False where a rotation that is not over has done both, and is to be finished.
        """
        with locked(self.keys.directory):
            before = self._before()
            # Each key tells whether it is new already: whoever breaks off in between does the rest the next time.
            wraps, signs = _name(self.keys.wrapping_keys()[0]) == before[WRAPPING], self.keys.signer == before[SIGNING]
            if wraps:
                self._write_wrapping([Fernet.generate_key().decode(), *self.keys.wrapping_keys()])
            if signs:
                self._sign_anew()
        return wraps or signs

    def end(self) -> None:
        """Everything is renewed; older keys stay in force, for whoever has read them before."""
        with locked(self.keys.directory):
            self._end()

    def word(self) -> bytes:
        """Names the newest keys; whoever has renewed everything since it was given may hand it to `retire`."""
        line = json.dumps(self._newest(), sort_keys=True).encode() + b"\n"
        return line + self.keys.sign(line, purpose=PURPOSE)

    def retire(self, word: bytes) -> Retired:
        """Forget all keys but the newest. What the others still wrap or have signed is lost.

        Args:
            word: see `word`.

        Raises:
            RotationUnfinished: it is not of the newest keys, so that something may need the old ones; they stay.
        """
        with locked(self.keys.directory):
            newest, *older = self.keys.wrapping_keys()
            own = self.keys.signing_key().public_key().public_bytes_raw()
            trusted = [key.public_bytes_raw() for key in self.keys.trusted()]
            unknown = [key for key in trusted if key != own]
            if (older or unknown) and not self._is_said_by(word):
                raise RotationUnfinished(
                    "It is not known that all models and checkpoints are wrapped and signed by the newest keys, so no "
                    "key was retired.",
                    hint="`tejido keys rotate --artifacts --rewrap` sees to that; then retire the old ones.",
                )
            self._write_wrapping([newest])
            self._write_trusted([own.hex()])
            self._end()
        return Retired(len(older), len(unknown))

    def _before(self) -> dict[str, str]:
        """The newest keys when the rotation began, which is now unless one is under way."""
        path = self.keys.directory / PENDING
        if not path.exists():
            write_atomically(path, json.dumps(self._newest()).encode())
        # A rotation that an older release has begun named none, and had added its key.
        found: dict[str, str] = json.loads(path.read_bytes() or b"{}")
        return {WRAPPING: "", SIGNING: "", **found}

    def _newest(self) -> dict[str, str]:
        return {WRAPPING: _name(self.keys.wrapping_keys()[0]), SIGNING: self.keys.signer}

    def _sign_anew(self) -> None:
        pem = new_pem()
        known = [key.public_bytes_raw().hex() for key in self.keys.trusted()]
        # First whom to trust: if it breaks off here, nobody has the key that belongs to it, and `retire` removes it.
        self._write_trusted([from_pem(pem).public_key().public_bytes_raw().hex(), *known])
        write_secret(self.keys.directory / SIGNING, pem)

    def _is_said_by(self, word: bytes) -> bool:
        line, newline, signature = word.partition(b"\n")
        try:
            if self.keys.resign(line + newline, signature, purpose=PURPOSE, again=None) is not None:
                # By an older key, which may have been stolen.
                return False
        except ArtifactRefused:
            return False
        said: object = json.loads(line)
        return said == self._newest()

    def _write_wrapping(self, lines: list[str]) -> None:
        write_secret(self.keys.directory / WRAPPING, _text(lines))

    def _write_trusted(self, lines: list[str]) -> None:
        write_atomically(self.keys.directory / TRUSTED, _text(lines))

    def _end(self) -> None:
        (self.keys.directory / PENDING).unlink(missing_ok=True)


def _name(wrapping: str) -> str:
    """Tells a wrapping key from any other, and nothing of it."""
    return hashlib.sha256(b"tejido wrapping key\0" + wrapping.encode()).hexdigest()[:16]


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
