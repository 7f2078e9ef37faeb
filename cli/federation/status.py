"""`tejido federation status`: how far a run is."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.runs import run_status


def status(
    run: Annotated[str, typer.Argument(help="Id of the run.")],
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Show the stage of a run, and what its rounds brought so far."""
    found = run_status(platform_settings(state), run)
    emit(found, how, lambda result: f"{result['stage']}: {result.get('message', '')}")
