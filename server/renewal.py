"""After a rotation: every data key is wrapped, and every manifest and result signed, by the newest keys there are.

Objects and manifests stay as they are. What is renewed is replaced in one step, and old and new keys are in force
meanwhile, so whoever reads or writes does not notice; what was done before a break is found done.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol

from core.settings import Settings
from security.artifact_keys import ArtifactKeys
from security.errors import ArtifactRefused
from server.resigning import CheckpointSignatures, ModelSignatures
from server.rewrapping import CheckpointKeys, ModelKeys
from server.stores import open_stores
from server.tracking import Tracker

NAMED = 10
"""As many of those that could not be renewed are named."""
Kind = Literal["checkpoints", "models"]
Work = Literal["rewrapped", "resigned"]


class Place(Protocol):
    """Where wrapped data keys, or signatures, lie."""

    @property
    def kind(self) -> Kind:
        """Of what they are counted."""

    @property
    def work(self) -> Work:
        """As what they are counted."""

    def names(self) -> list[str]:
        """The files of keys, or the files that may be signed."""

    def read(self, name: str) -> bytes | None:
        """One of them; None where it has gone meanwhile, or bears no signature as nothing is sealed there."""

    def renewed(self, name: str, data: bytes, keys: ArtifactKeys) -> bytes | None:
        """What `write` is to be given; None where it is by the newest key already. Raises ArtifactRefused."""

    def write(self, name: str, renewed: bytes) -> None:
        """Put it in its place, in one step."""

    def where(self, name: str) -> str:
        """What people call it."""


def renew_all(settings: Settings) -> dict[str, dict[str, int]]:
    """Renew what belongs to checkpoints, waves and all model versions; see `renew`.

    Raises:
        SettingsError, ArtifactKeyMissing: this process has no keys, or none that signs.
        ArtifactRefused: see `renew`.
        StorageUnreachable, TrackingUnreachable: what does not answer; begin again.
    """
    keys, tracker = ArtifactKeys(Path(settings.required("artifact_keys_dir"))), Tracker.of(settings)
    runs, store = sorted({version.run_id for version in tracker.versions()}), open_stores(settings).checkpoints
    places: list[Place] = [CheckpointKeys(store), CheckpointSignatures(store)]
    for run in runs:
        places += [ModelKeys(tracker, run), ModelSignatures(tracker, run)]
    return renew(places, keys)


def renew(places: Iterable[Place], keys: ArtifactKeys) -> dict[str, dict[str, int]]:
    """Renew what can be; a damaged key or manifest keeps no other from it.

    Returns:
        ``rewrapped`` (data keys) and ``resigned`` (manifests and results), and in each ``checkpoints`` and ``models``:
        how many were renewed; ``unchanged``: how many were by the newest key already.

    Raises:
        ArtifactRefused: some were changed, or are by no key that is here. It names them; all others are done.
    """
    works: tuple[Work, ...] = ("rewrapped", "resigned")
    done = {work: {"checkpoints": 0, "models": 0, "unchanged": 0} for work in works}
    refused: list[str] = []
    for place in places:
        for name in place.names():
            data = place.read(name)
            if data is None:
                continue
            try:
                renewed = place.renewed(name, data, keys)
            except ArtifactRefused:
                refused.append(place.where(name))
                continue
            if renewed is not None:
                place.write(name, renewed)
            done[place.work]["unchanged" if renewed is None else place.kind] += 1
    if refused:
        raise _incomplete(refused)
    return {str(work): counts for work, counts in done.items()}


def _incomplete(refused: list[str]) -> ArtifactRefused:
    more = f" and {len(refused) - NAMED} more" if len(refused) > NAMED else ""
    return ArtifactRefused(
        f"What cannot be wrapped or signed anew: {', '.join(refused[:NAMED])}{more}. All others are. "
        "These were changed, or the keys that they are by are gone.",
        hint="Restore them, or remove the runs that they belong to, and go on with the same command.",
    )
