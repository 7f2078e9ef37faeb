"""`tejido failures list`: DAG runs that failed lately."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.failures import recent_failures


def list_recent(
    days: Annotated[int, typer.Option(min=1, help="How many days back.")] = 7,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """List the DAG runs that failed lately, newest first."""
    failures = recent_failures(platform_settings(state), within=timedelta(days=days))
    emit({"failures": [asdict(failure) for failure in failures]}, how, _table)


def _table(result: dict[str, Any]) -> Table | str:
    if not result["failures"]:
        return "No DAG run failed."
    table = Table("when", "what", "run", "reason")
    for failure in result["failures"]:
        what = ".".join(filter(None, (failure["dag_id"], failure["task_id"])))
        # Another program's words are no markup.
        table.add_row(failure["at"][:16], what, Text(failure["run_id"]), Text(failure["reason"]))
    return table
