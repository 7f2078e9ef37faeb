"""`tejido machine list`: which programs may ask the API."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from catalog.machines import MachineStore
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def list_machines(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """List the programs that may log in, until when, and when each last did."""
    with MachineStore(platform_settings(state).required("postgres_dsn")) as store:
        machines = [
            {
                "machine": one.name,
                "roles": one.roles,
                "client": one.client,
                "expires_at": one.expires_at.isoformat(timespec="seconds"),
                "last_used_at": one.last_used_at and one.last_used_at.isoformat(timespec="seconds"),
            }
            for one in store.machines()
        ]
    emit({"machines": machines}, how, _table)


def _table(result: dict[str, Any]) -> Table:
    table = Table("program", "roles", "client", "until", "last logged in")
    for one in result["machines"]:
        last = (one["last_used_at"] or "never")[:19].replace("T", " ")
        table.add_row(one["machine"], ", ".join(one["roles"]), one["client"] or "", one["expires_at"][:10], last)
    return table
