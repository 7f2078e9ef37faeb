"""The wrapped data keys of checkpoints, waves and models, to be wrapped by the newest key; see server.renewal.

Files are named after their data keys, so no writer's newer one is ever overwritten.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from catalog.objects import ObjectStore, get_or_none
from security.artifact_keys import ArtifactKeys
from server.sealing import KEY, object_of


class Models(Protocol):
    """What is needed of `server.tracking.Tracker`."""

    def file_names(self, run_id: str) -> list[str]:
        """Names of the files of a run's model."""

    def read_file(self, run_id: str, name: str) -> bytes:
        """One of them."""

    def write_files(self, run_id: str, folder: Path) -> None:
        """Add files, each in place of one of the same name."""


@dataclass(frozen=True)
class CheckpointKeys:
    """Those of a bucket; a run may be writing to it."""

    store: ObjectStore
    kind: ClassVar[Literal["checkpoints"]] = "checkpoints"
    work: ClassVar[Literal["rewrapped"]] = "rewrapped"

    def names(self) -> list[str]:
        """See `server.renewal.Place`."""
        return [name for name in self.store.list("") if name.endswith(KEY)]

    def read(self, name: str) -> bytes | None:
        """See `server.renewal.Place`."""
        return get_or_none(self.store, name)

    def renewed(self, name: str, data: bytes, keys: ArtifactKeys) -> bytes | None:  # noqa: ARG002 - all keys are alike
        """See `server.renewal.Place`."""
        return _rewrapped(data, keys)

    def write(self, name: str, renewed: bytes) -> None:
        """See `server.renewal.Place`; where its round has gone meanwhile, the key goes, too."""
        self.store.put(name, renewed)
        # A key comes after its object, whose name is never used again: no writer still has to bring it.
        if not self.store.exists(object_of(name)):
            self.store.delete(name)

    def where(self, name: str) -> str:
        """See `server.renewal.Place`."""
        return self.store.url(name)


@dataclass(frozen=True)
class ModelKeys:
    """Those of one run's model."""

    models: Models
    run: str
    kind: ClassVar[Literal["models"]] = "models"
    work: ClassVar[Literal["rewrapped"]] = "rewrapped"

    def names(self) -> list[str]:
        """See `server.renewal.Place`."""
        names = self.models.file_names(self.run)
        return [name for name in names if name.endswith(KEY) and object_of(name) in names]

    def read(self, name: str) -> bytes | None:
        """See `server.renewal.Place`."""
        return self.models.read_file(self.run, name)

    def renewed(self, name: str, data: bytes, keys: ArtifactKeys) -> bytes | None:  # noqa: ARG002 - all keys are alike
        """See `server.renewal.Place`."""
        return _rewrapped(data, keys)

    def write(self, name: str, renewed: bytes) -> None:
        """See `server.renewal.Place`."""
        write_file(self.models, self.run, name, renewed)

    def where(self, name: str) -> str:
        """See `server.renewal.Place`."""
        return f"{name} of the model of run {self.run}"


def write_file(models: Models, run: str, name: str, data: bytes) -> None:
    """Add a file to a run's model, in place of one of the same name."""
    with tempfile.TemporaryDirectory(prefix="tejido-key-") as folder:
        (Path(folder) / name).write_bytes(data)
        models.write_files(run, Path(folder))


def _rewrapped(wrapped: bytes, keys: ArtifactKeys) -> bytes | None:
    anew = keys.rewrap(wrapped)
    return None if anew == wrapped else anew
