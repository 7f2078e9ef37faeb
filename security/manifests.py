"""What belongs to a model or a checkpoint, signed: nothing of it is read before the manifest has been believed.

A manifest is two lines: canonical JSON, and an Ed25519 signature over exactly these bytes. It names each object with
its sizes and hashes before and after encryption, and the data key that opens it. After a rotation the signature by the
newer key lies in a file of its own: nobody overwrites a manifest but who made it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from security.artifact_keys import ArtifactKeys
from security.envelope import Digests
from security.errors import ArtifactNotSealed, ArtifactRefused

FORMAT = 1
PURPOSE = "manifest"


@dataclass(frozen=True)
class Subject:
    """Whose objects they are: an object of another is refused in their place."""

    kind: str
    """``checkpoint``, ``model`` or ``wave``."""
    run: str
    """Key of the federated run, of the wave, or MLflow's id of the run that made the model."""

    def context(self, name: str) -> bytes:
        """What each chunk of the object ``name`` is bound to; of a checkpoint the name says the round."""
        return _canonical([self.kind, self.run, name])


@dataclass(frozen=True)
class Entry:
    """One object."""

    name: str
    digests: Digests
    key_id: str


@dataclass(frozen=True)
class Manifest:
    """The objects of one subject."""

    subject: Subject
    objects: tuple[Entry, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    """What else must not be changed: round, hashes of plain files."""

    def entry(self, name: str) -> Entry:
        """The object of that name; ArtifactRefused where there is none."""
        for entry in self.objects:
            if entry.name == name:
                return entry
        raise ArtifactRefused(f"The manifest of {self.subject.kind} {self.subject.run} knows no {name}.")

    def signed(self, keys: ArtifactKeys) -> bytes:
        """Its two lines."""
        body = _canonical({"format": FORMAT, **asdict(self), "about": dict(self.about)}) + b"\n"
        return body + keys.sign(body, purpose=PURPOSE)

    @classmethod
    def verified(
        cls, data: bytes, keys: ArtifactKeys, subject: Subject, *, again: Callable[[], bytes | None] | None = None
    ) -> Manifest:
        """Read one, once its signature holds and it is about ``subject``.

        Args:
            data: its two lines.
            keys: of this process.
            subject: whose it must be.
            again: gives its signature by a later key, if any; see `ArtifactKeys.verify`.

        Raises:
            ArtifactNotSealed: it is unsigned.
            ArtifactRefused: it was changed, is another's, or nobody trusted has signed it.
        """
        about = f"{subject.kind} {subject.run}"
        body, newline, signature = data.partition(b"\n")
        if not is_signed(data):
            raise ArtifactNotSealed(f"The manifest of {about} is not signed.")
        try:
            keys.verify(body + newline, signature, purpose=PURPOSE, again=again)
        except ArtifactRefused as error:
            raise ArtifactRefused(f"The manifest of {about} is refused. {error.message}", hint=error.hint) from None
        values = json.loads(body)
        if values["format"] != FORMAT:
            raise ArtifactRefused(f"The manifest of {about} has format {values['format']}.", hint="Update Tejido.")
        found = cls(Subject(**values["subject"]), tuple(_entries(values["objects"])), values["about"])
        if found.subject != subject:
            raise ArtifactRefused(
                f"The manifest of {about} is that of {found.subject.kind} {found.subject.run}.",
                hint="Somebody has put it there.",
            )
        return found


def resigned(data: bytes, keys: ArtifactKeys, subject: Subject, *, again: bytes | None) -> bytes | None:
    """The signature of a manifest by the newest key, once it is believed; None where that key has signed it already.

    Args:
        data: its two lines.
        keys: of this process.
        subject: whose it must be.
        again: what was returned here before, after an earlier rotation.

    Raises:
        ArtifactNotSealed, ArtifactRefused: see `Manifest.verified`.
    """
    Manifest.verified(data, keys, subject, again=lambda: again)
    body, newline, signature = data.partition(b"\n")
    return keys.resign(body + newline, signature, purpose=PURPOSE, again=again)


def is_signed(data: bytes) -> bool:
    """Whether it looks like a manifest; what it is worth, `Manifest.verified` says."""
    return data.partition(b"\n")[2].startswith(b"ed25519 ")


def _entries(values: Iterable[Mapping[str, Any]]) -> Iterable[Entry]:
    return (Entry(value["name"], Digests(**value["digests"]), value["key_id"]) for value in values)


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
