"""`tejido client contracts`: what a client has signed."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group

from cli.client.session import NameArgument, client_settings
from cli.contracts import contract_table
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption
from clients.contracts import Contracts


def contracts(
    name: NameArgument = None,
    run: Annotated[str | None, typer.Option(help="Of one federated run only.")] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Show the contracts of the runs that a client took part in; its own signature of each is verified first."""
    settings = client_settings(state, name)
    found = [told for told in Contracts.of(settings).read() if run in (None, told["contract"]["run"])]
    emit({"client": settings.client_name, "contracts": found}, how, _text)


def _text(result: dict[str, Any]) -> Group | str:
    if not result["contracts"]:
        return f"{result['client']} has signed no contract."
    return Group(*map(_signed, result["contracts"]))


def _signed(told: dict[str, Any]) -> Group:
    return Group(contract_table(told), f"signed by this client at {told['at']}\n")
