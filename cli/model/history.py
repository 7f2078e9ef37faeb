"""`tejido model history`: who made which version the champion, and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.audit import history as read_history


def history(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the last changes.")] = 50,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Show promotions, refusals and rollbacks, newest first; nobody can change what stands there."""
    emit(read_history(platform_settings(state), limit=limit), how, _table)


def _table(result: dict[str, Any]) -> Table:
    table = Table()
    for column in ("when", "who", "what", "from", "to"):
        table.add_column(column, no_wrap=True)
    table.add_column("why")
    for change in result["changes"]:
        when = change["at"][:19].replace("T", " ")
        versions = (change["from_version"] or "", change["to_version"])
        table.add_row(when, *map(escape, (change["actor"], change["action"], *versions, change["reason"])))
    return table
