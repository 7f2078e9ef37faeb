"""How the parts of checkpoints lie in a run's folder, and the marker that says which of them count.

Plain, where a process has no keys, or sealed; the run's folder does not know which.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from catalog.objects import ObjectStore, get_or_none
from security.errors import ArtifactNotSealed, ArtifactRefused
from security.manifests import Entry, Subject, is_signed
from server.errors import ModelDamaged
from server.sealing import RESIGNED, Seals, files_of, keyless

MARKER, ABOUT, RESULT, SIGNATURE = "state.json", "run.json", "result.json", "result.sig"
Record = str | Entry
"""What the marker says of a part: its SHA-256, or its entry in the manifest."""


@dataclass(frozen=True)
class Marker:
    """The last complete round, and the parts that count."""

    round: int
    parts: Mapping[str, Record]

    def sha256(self, name: str) -> str:
        """Of a part as it was before it was sealed."""
        record = self.parts[name]
        return record.digests.sha256 if isinstance(record, Entry) else record


class Parts(Protocol):
    """Keeps the parts of one run."""

    def put(self, name: str, data: bytes) -> Record:
        """Keep a part; it counts once the marker names it."""

    def get(self, name: str, record: Record) -> bytes:
        """A part, once it is what the marker says."""

    def mark(self, marker: Marker, *, about: bytes | None) -> None:
        """Replace the marker, in one step; ``about`` is what the run was begun with, None: as it is written."""

    def marker(self) -> Marker | None:
        """The marker, once it is believed; None before the first."""

    def files(self, name: str, record: Record) -> set[str]:
        """Names of the files in which a part lies."""

    def finish(self, result: bytes) -> None:
        """Write the result."""

    def verify_result(self, result: bytes) -> None:
        """Insist that it is what `finish` wrote."""


@dataclass(frozen=True)
class PlainParts:
    """Files as they are; their hashes find damage, and stop nobody who means it."""

    store: ObjectStore
    run: str

    def put(self, name: str, data: bytes) -> Record:
        """See `Parts`."""
        self.store.put(f"{self.run}/{name}", data)
        return hashlib.sha256(data).hexdigest()

    def get(self, name: str, record: Record) -> bytes:
        """See `Parts`; raises ModelDamaged."""
        data = self.store.get(f"{self.run}/{name}")
        if hashlib.sha256(data).hexdigest() != record:
            raise ModelDamaged(f"{name} of run {self.run} is damaged.", hint="Start a run under another id.")
        return data

    def mark(self, marker: Marker, *, about: bytes | None) -> None:  # noqa: ARG002 - a plain marker holds none of it
        """See `Parts`."""
        value = {"round": marker.round, "parts": dict(marker.parts)}
        self.store.put(f"{self.run}/{MARKER}", json.dumps(value, indent=1).encode())

    def marker(self) -> Marker | None:
        """See `Parts`; raises ArtifactKeyMissing where the run is sealed."""
        data = get_or_none(self.store, f"{self.run}/{MARKER}")
        if data is None:
            return None
        if is_signed(data):
            raise keyless(f"Run {self.run}")
        found = json.loads(data)
        return Marker(int(found["round"]), dict(found["parts"]))

    def files(self, name: str, record: Record) -> set[str]:  # noqa: ARG002 - every kind of parts is asked alike
        """See `Parts`."""
        return {name}

    def finish(self, result: bytes) -> None:
        """See `Parts`."""
        self.store.put(f"{self.run}/{RESULT}", result)

    def verify_result(self, result: bytes) -> None:
        """See `Parts`: nothing vouches for a plain one."""


@dataclass(frozen=True)
class SealedParts:
    """Encrypted, and named by a signed marker, which also holds the hash of what the run is about."""

    store: ObjectStore
    run: str
    seals: Seals

    @property
    def subject(self) -> Subject:
        """Whose objects they are."""
        return Subject("checkpoint", self.run)

    def put(self, name: str, data: bytes) -> Record:
        """See `Parts`."""
        return self.seals.put(self.store, f"{self.run}/", self.subject, name, data)

    def get(self, name: str, record: Record) -> bytes:  # noqa: ARG002 - an entry has its name
        """See `Parts`; raises ArtifactRefused."""
        return self.seals.get(self.store, f"{self.run}/", self.subject, _entry(record))

    def mark(self, marker: Marker, *, about: bytes | None) -> None:
        """See `Parts`."""
        known = self._about_sha256() if about is None else hashlib.sha256(about).hexdigest()
        told = {"round": marker.round, "about_sha256": known}
        data = self.seals.sign(self.subject, map(_entry, marker.parts.values()), told)
        self.store.put(f"{self.run}/{MARKER}", data)

    def marker(self) -> Marker | None:
        """See `Parts`; raises ArtifactRefused, ArtifactNotSealed."""
        manifest = self.seals.manifest(self.store, f"{self.run}/{MARKER}", self.subject)
        if manifest is None:
            return None
        if manifest.about["about_sha256"] != self._about_sha256():
            raise ArtifactRefused(
                f"{ABOUT} of run {self.run} is not what it was when round {manifest.about['round']} ended."
            )
        return Marker(int(manifest.about["round"]), {entry.name: entry for entry in manifest.objects})

    def files(self, name: str, record: Record) -> set[str]:  # noqa: ARG002 - an entry has its name
        """See `Parts`."""
        return set(files_of(_entry(record)))

    def finish(self, result: bytes) -> None:
        """See `Parts`: the signature first, so that no result is ever without."""
        self.store.put(f"{self.run}/{SIGNATURE}", self.seals.sign_text(result, self.subject, RESULT))
        self.store.put(f"{self.run}/{RESULT}", result)

    def verify_result(self, result: bytes) -> None:
        """See `Parts`; raises ArtifactRefused, ArtifactNotSealed."""
        signature = get_or_none(self.store, f"{self.run}/{SIGNATURE}")
        if signature is None:
            raise ArtifactNotSealed(f"The result of run {self.run} is not signed.")
        later = f"{self.run}/{RESULT}{RESIGNED}"
        self.seals.verify_text(result, signature, self.subject, RESULT, again=lambda: get_or_none(self.store, later))

    def _about_sha256(self) -> str:
        return hashlib.sha256(get_or_none(self.store, f"{self.run}/{ABOUT}") or b"").hexdigest()


def parts_of(store: ObjectStore, run: str, seals: Seals | None) -> Parts:
    """Sealed where there are keys."""
    return SealedParts(store, run, seals) if seals else PlainParts(store, run)


def _entry(record: Record) -> Entry:
    if not isinstance(record, Entry):
        raise TypeError("a plain part among sealed ones")
    return record
