"""How a command finds the client that it speaks for: by its process's own settings, or those in a state folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import BadOption, StackNotRunning
from core.names import checked_client_name
from core.settings import Settings, load_settings

NameArgument = Annotated[
    str | None, typer.Argument(help="Name of the client; not needed where the process has its settings.")
]


def client_settings(state: Path, name: str | None) -> Settings:
    """A client's own settings: those of this process where ``TEJIDO_ENV_FILE`` is set, else its file in ``state``.

    Raises:
        BadOption: no client is named, or another than the one whose settings these are.
        StackNotRunning: there is no such file.
    """
    if "TEJIDO_ENV_FILE" in os.environ:
        settings = load_settings()
        if settings.client_name is None or name not in (None, settings.client_name):
            raise BadOption("These are not the settings of that client.", hint="Run it where the client's own are.")
        return settings
    if name is None:
        raise BadOption("It is not said which client.", hint="Name it: `tejido client publish aurora --all`.")
    env_file = state / "run" / f"client-{checked_client_name(name)}.env"
    if not env_file.is_file():
        raise StackNotRunning(f"No stack in {state} has a client {name}.", hint="Start one: `tejido up`.")
    return load_settings(env_file)
