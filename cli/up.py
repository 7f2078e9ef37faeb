"""`tejido up`: the services, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.errors import BadOption
from cli.session import DEFAULT_STATE, StateOption
from cli.stack import open_stack, show_addresses
from core.names import client_names
from embedded.layout import Parts


def up(
    clients: Annotated[int, typer.Option(help="How many clients to start when none is named.")] = 3,
    client: Annotated[list[str] | None, typer.Option(help="Name of a client; may be given several times.")] = None,
    gate: Annotated[
        str, typer.Option(help="Address of this machine at which clients elsewhere reach the Fleet API, and no more.")
    ] = "",
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Start all services and stay until Ctrl-C."""
    if clients < 1:
        raise BadOption(f"--clients is {clients}.", hint="Give at least 1.")
    names: list[str] = client or client_names(clients)
    with open_stack(Path(state), names, Parts(gate=gate)) as (stack, _):
        show_addresses(stack)
        stack.wait()
