"""Signed manifests and results of checkpoints, waves and models, to be signed by the newest key; see server.renewal.

What is signed is first believed, as whoever loads it would, and stays as it is: the newer signature lies beside it, so
that a run which writes its next marker meanwhile is never set back to the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from catalog.objects import ObjectStore, get_or_none
from security.artifact_keys import ArtifactKeys
from security.manifests import Subject, is_signed, resigned
from server import models as model_files
from server.parts import MARKER, RESULT, SIGNATURE
from server.rewrapping import Models, write_file
from server.sealing import RESIGNED, SEALED, purpose_of
from server.wave_folder import MANIFEST as WAVE_MANIFEST


@dataclass(frozen=True)
class CheckpointSignatures:
    """Those of a bucket; a run may be writing to it."""

    store: ObjectStore
    kind: ClassVar[Literal["checkpoints"]] = "checkpoints"
    work: ClassVar[Literal["resigned"]] = "resigned"

    def names(self) -> list[str]:
        """See `server.renewal.Place`."""
        found = (name.split("/") for name in self.store.list(""))
        return ["/".join(path) for path in found if len(path) == 2 and path[1] in (MARKER, WAVE_MANIFEST, RESULT)]

    def read(self, name: str) -> bytes | None:
        """See `server.renewal.Place`."""
        data = get_or_none(self.store, name)
        if data is None or self._bears_signature(name, data):
            return data
        # What an older release has left is plain, and stays so. What lies among sealed objects was signed.
        return data if any(key.endswith(SEALED) for key in self.store.list(f"{_folder(name)}/")) else None

    def renewed(self, name: str, data: bytes, keys: ArtifactKeys) -> bytes | None:
        """See `server.renewal.Place`."""
        run, file = name.split("/")
        subject, again = Subject("checkpoint", run), get_or_none(self.store, name + RESIGNED)
        if file == RESULT:
            signature = get_or_none(self.store, f"{run}/{SIGNATURE}") or b""
            return keys.resign(data, signature, purpose=purpose_of(subject, RESULT), again=again)
        return resigned(data, keys, Subject("wave", run) if file == WAVE_MANIFEST else subject, again=again)

    def write(self, name: str, renewed: bytes) -> None:
        """See `server.renewal.Place`; where its run has gone meanwhile, the signature goes, too."""
        self.store.put(name + RESIGNED, renewed)
        if not self.store.exists(name):
            self.store.delete(name + RESIGNED)

    def where(self, name: str) -> str:
        """See `server.renewal.Place`."""
        return self.store.url(name)

    def _bears_signature(self, name: str, data: bytes) -> bool:
        if name.endswith(f"/{RESULT}"):
            return self.store.exists(f"{_folder(name)}/{SIGNATURE}")
        return is_signed(data)


@dataclass(frozen=True)
class ModelSignatures:
    """That of one run's model."""

    models: Models
    run: str
    kind: ClassVar[Literal["models"]] = "models"
    work: ClassVar[Literal["resigned"]] = "resigned"

    def names(self) -> list[str]:
        """See `server.renewal.Place`."""
        return [name for name in self.models.file_names(self.run) if name == model_files.MANIFEST]

    def read(self, name: str) -> bytes:
        """See `server.renewal.Place`; a plain model has no manifest."""
        return self.models.read_file(self.run, name)

    def renewed(self, name: str, data: bytes, keys: ArtifactKeys) -> bytes | None:
        """See `server.renewal.Place`."""
        later = name + RESIGNED
        again = self.models.read_file(self.run, later) if later in self.models.file_names(self.run) else None
        return resigned(data, keys, Subject(model_files.KIND, self.run), again=again)

    def write(self, name: str, renewed: bytes) -> None:
        """See `server.renewal.Place`."""
        write_file(self.models, self.run, name + RESIGNED, renewed)

    def where(self, name: str) -> str:
        """See `server.renewal.Place`."""
        return f"{name} of the model of run {self.run}"


def _folder(name: str) -> str:
    return name.split("/")[0]
