"""`tejido setup client`: secrets and keys of one client of a deployment in containers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import Format, FormatOption, emit
from cli.setup.files import KeysOption, OwnerOption, SharesOption
from core.names import checked_client_name
from deployment.clients import Client
from deployment.keys import Keys
from deployment.volumes import give_client_volumes


def client(
    name: Annotated[str, typer.Argument(help="Name of the client.")],
    keys: KeysOption = Path("/keys"),
    shares: SharesOption = Path("/shares"),
    volumes: Annotated[Path, typer.Option(help="Folder with one folder a service's data.")] = Path("/volumes"),
    owner: OwnerOption = 10001,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make all of its keys anew.")] = False,
    how: FormatOption = Format.TEXT,
) -> None:
    """Make what is missing for one client; what exists stays, and no other client is touched."""
    store = Keys(keys)
    with store.locked():
        made = Client(store, checked_client_name(name))
        if rotate:
            made.forget_keys()
        made.write(shares, owner)
    give_client_volumes(volumes, owner)
    emit({"client": name}, how, lambda result: f"Secrets are ready for {result['client']}.")
