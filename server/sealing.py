"""The one place where models, checkpoints and waves are sealed, and opened again; see security.envelope and .manifests.

    <name>.<key id>.sealed   the object, encrypted by a data key of its own
    <name>.<key id>.key      that data key, wrapped; replaced, and nothing else, when the wrapping key is rotated

A manifest, whose place the caller chooses, names them all:

    <manifest>               signed by the key of when it was written
    <manifest>.resigned      its signature by a later key, after a rotation; likewise of a plain file that is signed

No two writers ever share a file's name, so whoever is late
harms nobody. Without `TEJIDO_ARTIFACT_KEYS_DIR` there are no `Seals`, and artifacts are plain files, as in a
simulation; a process that has the keys takes nothing that is not sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.errors import ObjectMissing
from catalog.objects import ObjectStore, get_or_none
from core.settings import Settings
from security.artifact_keys import ArtifactKeys
from security.envelope import decrypt, encrypt
from security.errors import ArtifactKeyMissing, ArtifactRefused
from security.manifests import Entry, Manifest, Subject

SEALED, KEY, RESIGNED = ".sealed", ".key", ".resigned"
NAMED = 32
"""Hex digits of a key's id that stand in names of files."""


@dataclass(frozen=True)
class Seals:
    """Seals what this process writes, and opens what it reads."""

    keys: ArtifactKeys

    @classmethod
    def of(cls, settings: Settings) -> Seals | None:
        """Those of a process; None where it has no keys, and works with plain files."""
        folder = settings.artifact_keys_dir
        return cls(ArtifactKeys(folder)) if folder else None

    def put(self, store: ObjectStore, prefix: str, subject: Subject, name: str, data: bytes) -> Entry:
        """Seal one object and keep it, with its key, below ``prefix``; it counts once a signed manifest names it."""
        data_key = self.keys.new_data_key()
        sealed, digests = encrypt(data, data_key.key, context=subject.context(name))
        entry = Entry(name, digests, data_key.key_id)
        key_file, object_file = files_of(entry)
        # The key last: one without its object is then what a removed object has left, and `rewrapping` removes it.
        store.put(f"{prefix}{object_file}", sealed)
        store.put(f"{prefix}{key_file}", data_key.wrapped)
        return entry

    def get(self, store: ObjectStore, prefix: str, subject: Subject, entry: Entry) -> bytes:
        """Open one object of a manifest that was verified.

        Raises:
            ArtifactRefused: it, or its key, is missing or is not what was sealed.
        """
        key_file, object_file = files_of(entry)
        try:
            key = self.keys.unwrap(store.get(f"{prefix}{key_file}"), entry.key_id)
            sealed = store.get(f"{prefix}{object_file}")
            return decrypt(sealed, key, context=subject.context(entry.name), expected=entry.digests)
        except ArtifactRefused as error:
            whose = f"{entry.name} of {subject.kind} {subject.run}"
            raise ArtifactRefused(f"{whose} is refused. {error.message}", hint=error.hint) from None
        except ObjectMissing as error:
            raise ArtifactRefused(f"{entry.name} of {subject.kind} {subject.run} lacks a file.") from error

    def sign(self, subject: Subject, objects: Iterable[Entry], about: Mapping[str, Any] | None = None) -> bytes:
        """The manifest of these objects."""
        return Manifest(subject, tuple(objects), about or {}).signed(self.keys)

    def manifest(self, store: ObjectStore, file: str, subject: Subject) -> Manifest | None:
        """A manifest, once it is believed; None where there is none.

        Raises:
            ArtifactRefused, ArtifactNotSealed: see `Manifest.verified`.
        """
        data = get_or_none(store, file)
        if data is None:
            return None
        return Manifest.verified(data, self.keys, subject, again=lambda: get_or_none(store, file + RESIGNED))

    def sign_text(self, data: bytes, subject: Subject, name: str) -> bytes:
        """A signature beside a plain file that people and monitoring read."""
        return self.keys.sign(data, purpose=purpose_of(subject, name))

    def verify_text(
        self, data: bytes, signature: bytes, subject: Subject, name: str, *, again: Callable[[], bytes | None]
    ) -> None:
        """Insist on such a signature; ``again`` gives that by a later key, if any.

        Raises:
            ArtifactRefused: it does not hold.
        """
        try:
            self.keys.verify(data, signature, purpose=purpose_of(subject, name), again=again)
        except ArtifactRefused as error:
            raise ArtifactRefused(f"{name} of {subject.kind} {subject.run} is refused. {error.message}") from None


def files_of(entry: Entry) -> tuple[str, str]:
    """Names of the files of an object: its key, and itself."""
    stem = f"{entry.name}.{entry.key_id[:NAMED]}"
    return f"{stem}{KEY}", f"{stem}{SEALED}"


def object_of(key_file: str) -> str:
    """The object that a key opens."""
    return key_file.removesuffix(KEY) + SEALED


def keyless(what: str) -> ArtifactKeyMissing:
    """The error of a process without keys before something sealed."""
    return ArtifactKeyMissing(f"{what} is sealed, and this process has no keys.", hint="Set TEJIDO_ARTIFACT_KEYS_DIR.")


def purpose_of(subject: Subject, name: str) -> str:
    """What a plain file is signed for."""
    return "\0".join((subject.kind, subject.run, name))
