"""`tejido machine remove`: a program that may no more."""

from __future__ import annotations

from typing import Annotated

import typer

from catalog.machines import MachineStore
from cli.errors import MachineUnknown
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.audit import actor_of


def remove(
    name: Annotated[str, typer.Argument(help="Name of the program.")],
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Let a program in no more; a token that it has already lives for five minutes at most."""
    settings = platform_settings(state)
    with MachineStore(settings.required("postgres_dsn")) as store:
        if not store.remove(name, actor=actor_of(settings)):
            raise MachineUnknown(f"There is no program {name}.", hint="`tejido machine list` shows them.")
    emit({"removed": name}, how, lambda _: f"{name} is let in no more.")
