"""`tejido client rotate`: new keys for one client; the old ones open nothing any more."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.client.add import OutOption, told
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption
from embedded.clients import Clients
from embedded.state import StateFolder


def rotate(
    name: Annotated[str, typer.Argument(help="Name of the client.")],
    out: OutOption = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Give a client a new node key and new keys of its bucket; no other client is touched."""
    emit(told(Clients(StateFolder.at(state)).rotate(name, out=out)), how, _text)


def _text(result: dict[str, Any]) -> str:
    since = "from now on" if result["stack_running"] else "from the next `tejido up` on"
    return (
        f"{result['client']} has new keys, in {result['folder']}. The old ones are refused {since}; "
        "one that runs elsewhere needs the new folder."
    )
