"""`tejido audit show`: the last entries of the audit log."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer
from rich.table import Table

from catalog.audit_log import AuditLog, Kind
from cli.errors import BadOption
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings

KINDS = sorted(get_args(Kind))


def show(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many entries.")] = 50,
    kind: Annotated[list[str] | None, typer.Option(help="Only of this kind; may be given several times.")] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Show the last entries of the audit log, newest first."""
    if unknown := sorted(set(kind or ()) - set(KINDS)):
        raise BadOption(f"There is no kind {unknown[0]!r}; there are {', '.join(KINDS)}.")
    with AuditLog(platform_settings(state).required("postgres_dsn")) as log:
        emit({"entries": log.last(limit, kind or None)}, how, _table)


def _table(result: dict[str, Any]) -> Table:
    table = Table("no.", "when (UTC)", "what", "who", "details")
    for entry in result["entries"]:
        details = ", ".join(f"{name} {_text(value)}" for name, value in entry["details"].items())
        table.add_row(str(entry["seq"]), entry["at"][:19].replace("T", " "), entry["kind"], entry["actor"], details)
    return table


def _text(value: object) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)
