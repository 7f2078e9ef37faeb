"""The half of `tejido keys rotate` that is about models and checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cli.errors import BadOption
from core.settings import Settings
from security.artifact_keys import ArtifactKeys
from server.rewrapping import rewrap_all


def rotate_artifacts(settings: Settings, *, rewrap_only: bool, retire: bool) -> dict[str, Any]:
    """Add a wrapping key unless told otherwise, wrap every data key by the newest one, and retire the old if asked.

    Returns:
        ``rewrapped``: how many data keys; ``retired``: how many wrapping keys; ``went_on``: whether this was the rest
        of a rotation that broke off, and added no key.

    Raises:
        SettingsError, ArtifactKeyMissing, ArtifactKeyUnreadable: the keys are not there.
        ArtifactRefused: a data key was changed; all others are wrapped anew, and nothing is retired.
        BadOption: the keys are another's to change.
    """
    keys = ArtifactKeys(Path(settings.required("artifact_keys_dir")))
    is_new = not (rewrap_only or retire)
    if not rewrap_only and not os.access(keys.directory, os.W_OK):
        raise BadOption(
            f"The keys in {keys.directory} are not this process's to change.",
            hint="In containers set-up changes them, and this command gets --rewrap: docs/how-to/models.md.",
        )
    goes_on = is_new and not keys.begin_rotation()
    done = rewrap_all(settings)
    if is_new:
        keys.end_rotation()
    return {"rewrapped": done, "retired": keys.retire() if retire else 0, "went_on": goes_on}


def told(result: dict[str, Any]) -> str:
    """For people."""
    done = result["rewrapped"]
    wrapped = f"Data keys wrapped anew: {done['checkpoints']} of checkpoints, {done['models']} of models"
    before = "Went on with the rotation that broke off, and added no other key. " if result["went_on"] else ""
    return f"{before}{wrapped}; {done['unchanged']} were so already. Wrapping keys retired: {result['retired']}."
