"""`tejido federation status`: how far a run is."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group

from cli.errors import RunUnknown
from cli.federation.options import rounds_table
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.checkpoints import RunFolder
from server.stores import open_stores


def status(
    run: Annotated[str, typer.Argument(help="Id of the run.")],
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Show the stage of a run, and what its rounds brought so far."""
    folder = RunFolder(open_stores(platform_settings(state)).checkpoints, run)
    found = folder.status()
    if found is None:
        raise RunUnknown(f"There is no run {run!r}.", hint="Runs are named by `tejido federation run` and by Airflow.")
    result = folder.result()
    emit({**found, "result": result}, how, _text)


def _text(found: dict[str, Any]) -> Group | str:
    line = f"{found['stage']}: {found.get('message', '')}"
    return Group(line, rounds_table(found["result"]["rounds"])) if found["result"] else line
