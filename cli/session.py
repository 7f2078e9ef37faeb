"""How a command finds the platform that it works with: the environment of its process, or a state folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import StackNotRunning
from core.settings import Settings, load_settings

DEFAULT_STATE = Path(".tejido")
ADMIN = "admin"
ADMIN_PASSWORD = "admin-password"  # noqa: S105 - the name of a file

StateOption = Annotated[
    Path, typer.Option("--state", envvar="TEJIDO_STATE_DIR", help="State folder: data, logs, secrets, caches.")
]


def platform_settings(state: Path = DEFAULT_STATE) -> Settings:
    """Settings of the platform: those of this process where ``TEJIDO_ENV_FILE`` is set, else of the stack in ``state``.

    Raises:
        StackNotRunning: neither is there.
    """
    if "TEJIDO_ENV_FILE" in os.environ:
        return load_settings()
    env_file = state / "run" / "platform.env"
    if not env_file.is_file():
        raise StackNotRunning(f"No stack runs in {state}.", hint="Start one: `tejido up`, or name another --state.")
    return load_settings(env_file)


def admin_password(settings: Settings) -> str:
    """The administrator's password, made at the first start."""
    return (settings.state_dir / "secrets" / ADMIN_PASSWORD).read_text()
