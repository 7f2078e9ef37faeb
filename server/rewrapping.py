"""After a rotation: every data key wrapped by the newest wrapping key. Objects and manifests stay as they are.

Each data key is replaced in one step, and both old and new ones unwrap meanwhile, so whoever reads does not notice;
what was done before a break is found done. Files are named after their data keys: no writer's newer one is overwritten.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from catalog.objects import ObjectStore, get_or_none
from core.settings import Settings
from security.artifact_keys import ArtifactKeys
from security.errors import ArtifactRefused
from server.sealing import KEY, object_of
from server.stores import open_stores
from server.tracking import Tracker

NAMED = 10
"""As many of those that could not be wrapped anew are named."""
Kind = Literal["checkpoints", "models"]


class Models(Protocol):
    """What is needed of `server.tracking.Tracker`."""

    def file_names(self, run_id: str) -> list[str]:
        """Names of the files of a run's model."""

    def read_file(self, run_id: str, name: str) -> bytes:
        """One of them."""

    def write_files(self, run_id: str, folder: Path) -> None:
        """Add files, each in place of one of the same name."""


class Place(Protocol):
    """Where wrapped data keys lie."""

    @property
    def kind(self) -> Kind:
        """Of what they are counted."""

    def names(self) -> list[str]:
        """The files of keys."""

    def read(self, name: str) -> bytes | None:
        """One of them; None where it has gone meanwhile."""

    def write(self, name: str, wrapped: bytes) -> None:
        """Replace one, in one step."""

    def where(self, name: str) -> str:
        """What people call it."""


@dataclass(frozen=True)
class CheckpointKeys:
    """Those of a bucket; a run may be writing to it."""

    store: ObjectStore
    kind: ClassVar[Kind] = "checkpoints"

    def names(self) -> list[str]:
        """See `Place`."""
        return [name for name in self.store.list("") if name.endswith(KEY)]

    def read(self, name: str) -> bytes | None:
        """See `Place`."""
        return get_or_none(self.store, name)

    def write(self, name: str, wrapped: bytes) -> None:
        """See `Place`; where its round has gone meanwhile, the key goes, too."""
        self.store.put(name, wrapped)
        # A key comes after its object, whose name is never used again: no writer still has to bring it.
        if not self.store.exists(object_of(name)):
            self.store.delete(name)

    def where(self, name: str) -> str:
        """See `Place`."""
        return self.store.url(name)


@dataclass(frozen=True)
class ModelKeys:
    """Those of one run's model."""

    models: Models
    run: str
    kind: ClassVar[Kind] = "models"

    def names(self) -> list[str]:
        """See `Place`."""
        names = self.models.file_names(self.run)
        return [name for name in names if name.endswith(KEY) and object_of(name) in names]

    def read(self, name: str) -> bytes | None:
        """See `Place`."""
        return self.models.read_file(self.run, name)

    def write(self, name: str, wrapped: bytes) -> None:
        """See `Place`."""
        with tempfile.TemporaryDirectory(prefix="tejido-key-") as folder:
            (Path(folder) / name).write_bytes(wrapped)
            self.models.write_files(self.run, Path(folder))

    def where(self, name: str) -> str:
        """See `Place`."""
        return f"{name} of the model of run {self.run}"


def rewrap_all(settings: Settings) -> dict[str, int]:
    """Wrap anew what checkpoints, waves and all model versions are encrypted with; see `rewrap`.

    Raises:
        SettingsError: this process has no keys.
        ArtifactRefused: see `rewrap`.
        StorageUnreachable, TrackingUnreachable: what does not answer; begin again.
    """
    keys, tracker = ArtifactKeys(Path(settings.required("artifact_keys_dir"))), Tracker.of(settings)
    runs = sorted({version.run_id for version in tracker.versions()})
    return rewrap([CheckpointKeys(open_stores(settings).checkpoints), *(ModelKeys(tracker, run) for run in runs)], keys)


def rewrap(places: Iterable[Place], keys: ArtifactKeys) -> dict[str, int]:
    """Wrap anew what can be; a damaged key keeps no other from it.

    Returns:
        ``checkpoints`` and ``models``: how many data keys were wrapped anew; ``unchanged``: how many were so already.

    Raises:
        ArtifactRefused: some were changed, or the key that wraps them is gone. It names them; all others are done.
    """
    done, refused = {"checkpoints": 0, "models": 0, "unchanged": 0}, list[str]()
    for place in places:
        for name in place.names():
            wrapped = place.read(name)
            if wrapped is None:
                continue
            try:
                anew = keys.rewrap(wrapped)
            except ArtifactRefused:
                refused.append(place.where(name))
                continue
            if anew != wrapped:
                place.write(name, anew)
            done[place.kind if anew != wrapped else "unchanged"] += 1
    if refused:
        raise _incomplete(refused)
    return done


def _incomplete(refused: list[str]) -> ArtifactRefused:
    more = f" and {len(refused) - NAMED} more" if len(refused) > NAMED else ""
    return ArtifactRefused(
        f"Data keys that cannot be wrapped anew: {', '.join(refused[:NAMED])}{more}. All others are. "
        "These were changed, or the keys that wrapped them are gone.",
        hint="Restore them, or remove the runs that they belong to, and go on with the same command.",
    )
