"""`tejido federation status`: how far a run is."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group

from cli.federation.options import rounds_table
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.runs import run_status


def status(
    run: Annotated[str, typer.Argument(help="Id of the run.")],
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Show the stage of a run, and what its rounds brought so far."""
    emit(run_status(platform_settings(state), run), how, _text)


def _text(found: dict[str, Any]) -> Group:
    return Group(f"{found['stage']}: {found.get('message', '')}".rstrip(": "), rounds_table(found.get("rounds", [])))
