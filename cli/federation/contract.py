"""`tejido federation contract`: under which contract a run was done, and who signed it."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table

from cli.contracts import contract_table
from cli.federation.options import RunArgument
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.runs import run_contracts


def contract(run: RunArgument, state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Show the contract of a run, one for each time that it was started, and which clients have signed it."""
    emit(run_contracts(platform_settings(state), run), how, _text)


def _text(result: dict[str, Any]) -> Group | str:
    if not result["contracts"]:
        return f"No client has signed a contract of run {result['run_id']}."
    return Group(*(table for told in result["contracts"] for table in (contract_table(told), _clients(told))))


def _clients(told: dict[str, Any]) -> Table:
    table = Table("client", "its signature")
    for client, holds in told["clients"].items():
        table.add_row(client, "holds" if holds else "does NOT hold")
    return table
