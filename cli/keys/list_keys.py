"""`tejido keys list`: which key signs, and when the next step of a rotation is due."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from security.key_rotation import KeyRotation, KeyState

NEXT = {"signs": "", "published": "signs from", "replaced": "retires from"}


def list_keys(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """List the keys that sign access tokens, or did, or will."""
    rotation = KeyRotation(Path(platform_settings(state).required("signing_key_dir")))
    emit({"keys": [_shown(key) for key in rotation.states()]}, how, _table)


def _shown(key: KeyState) -> dict[str, str | None]:
    due = None if key.due_at is None else datetime.fromtimestamp(key.due_at, UTC).isoformat(timespec="seconds")
    return {"kid": key.kid, "state": key.state, "due_at": due}


def _table(result: dict[str, Any]) -> Table:
    table = Table("key", "state", "next")
    for key in result["keys"]:
        table.add_row(key["kid"], key["state"], f"{NEXT[key['state']]} {key['due_at'] or ''}".strip())
    return table
