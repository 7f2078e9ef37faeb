"""`tejido keys rotate`: another key signs access tokens, and nobody's token is refused for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import BadOption
from cli.output import Format, FormatOption, emit, stderr
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from security.errors import RotationTooEarly
from security.key_rotation import KeyRotation, Step


def rotate(
    wait: Annotated[
        bool, typer.Option(help="Wait and take all steps; --no-wait takes the next one, or says it is too early.")
    ] = True,
    now: Annotated[
        bool, typer.Option("--now", help="A key was stolen: retire the old ones at once. Access tokens there are end.")
    ] = False,
    artifacts: Annotated[
        bool,
        typer.Option(
            "--artifacts", help="Of models and checkpoints instead: the keys that wrap their data keys, and sign."
        ),
    ] = False,
    rewrap: Annotated[
        bool, typer.Option("--rewrap", help="With --artifacts: add no keys, only wrap and sign all by the newest.")
    ] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="With --artifacts: add no keys, renew all, then forget the old ones.")
    ] = False,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Rotate the key that signs access tokens; takes 23 minutes, and goes on where it was when it broke off.

    A new key is published, signs when no cache of the JWKS lacks it, and the old one retires when its last token has
    expired. A running API follows within a second. With --artifacts nobody has to wait: nothing is encrypted anew, and
    readers take both the old key and the new one until --retire.
    """
    if artifacts and (now or not wait):
        raise BadOption("--now and --wait are about the keys of access tokens.")
    if (rewrap or retire) and not artifacts:
        raise BadOption("--rewrap and --retire go with --artifacts.")
    if artifacts:
        # It needs MLflow and the object store, which the other half does without.
        from cli.keys.rotate_artifacts import rotate_artifacts, told

        emit(rotate_artifacts(platform_settings(state), rewrap_only=rewrap, retire=retire), how, told)
        return
    if now and not wait:
        raise BadOption("--now takes all steps: there is nothing to wait for.")
    rotation = KeyRotation(Path(platform_settings(state).required("signing_key_dir")))
    steps = rotation.replace_now() if now else _all_steps(rotation) if wait else [rotation.advance()]
    emit({"steps": [{"action": step.action, "kid": step.kid} for step in steps]}, how, _text)


def _all_steps(rotation: KeyRotation) -> list[Step]:
    steps: list[Step] = []
    while not steps or not steps[-1].is_last:
        try:
            steps.append(rotation.advance())
        except RotationTooEarly as early:
            stderr.print(f"{early.message} Waiting {early.due_in_s:.0f} s.", highlight=False, soft_wrap=True)
            time.sleep(early.due_in_s)
        else:
            stderr.print(f"{steps[-1].action} {steps[-1].kid}", highlight=False, soft_wrap=True)
    return steps


def _text(result: dict[str, Any]) -> str:
    return "\n".join(f"{step['action']} {step['kid']}" for step in result["steps"])
