"""The half of `tejido keys rotate` that is about models and checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cli.errors import BadOption
from core.files import write_atomically
from core.settings import Settings
from security.artifact_keys import ArtifactKeys
from security.artifact_rotation import ArtifactRotation, Retired
from server.renewal import renew_all


def rotate_artifacts(settings: Settings, *, rewrap_only: bool, retire: bool) -> dict[str, Any]:
    """Add a key that wraps and one that signs unless told otherwise, wrap every data key and sign every manifest and
    result by the newest, and retire the old ones if asked.

    Returns:
        ``rewrapped``: how many data keys; ``resigned``: how many manifests and results; ``retired``: how many wrapping
        keys, ``distrusted``: how many that signed; ``went_on``: whether this was the rest of a rotation that broke off,
        and added no key.

    Raises:
        SettingsError, ArtifactKeyMissing, ArtifactKeyUnreadable: the keys are not there.
        ArtifactRefused: a data key or manifest was changed; all others are renewed, and nothing is retired.
        RotationUnfinished: meanwhile somebody has begun another rotation; nothing is retired.
        BadOption: the keys are another's to change.
    """
    keys = ArtifactKeys(Path(settings.required("artifact_keys_dir")))
    is_new = not (rewrap_only or retire)
    if not rewrap_only and not os.access(keys.directory, os.W_OK):
        raise BadOption(
            f"The keys in {keys.directory} are not this process's to change.",
            hint="In containers set-up changes them, and this command gets --rewrap: docs/how-to/models.md.",
        )
    rotation = ArtifactRotation(keys)
    goes_on = is_new and not rotation.begin()
    # Before the work: of a key that comes meanwhile it says nothing.
    word = rotation.word()
    done = renew_all(settings)
    if settings.renewed_file:
        write_atomically(settings.renewed_file, word)
    if is_new:
        rotation.end()
    retired = rotation.retire(word) if retire else Retired(0, 0)
    return {**done, "retired": retired.wrapping, "distrusted": retired.signing, "went_on": goes_on}


def told(result: dict[str, Any]) -> str:
    """For people."""
    before = "Went on with the rotation that broke off, and added no other keys. " if result["went_on"] else ""
    wrapped = f"Data keys wrapped anew: {_counted(result['rewrapped'])}"
    signed = f"Manifests and results signed anew: {_counted(result['resigned'])}"
    retired = f"Keys retired: {result['retired']} that wrapped, {result['distrusted']} that signed"
    return f"{before}{wrapped}. {signed}. {retired}."


def _counted(done: dict[str, int]) -> str:
    return f"{done['checkpoints']} of checkpoints, {done['models']} of models; {done['unchanged']} were so already"
