"""`tejido client remove`: a client leaves, and the command proves it."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.errors import BadOption, LeavingUnproved
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption
from cli.stack import open_parts
from core.names import checked_client_name
from core.settings import load_settings
from deployment.removing import remove_from_platform
from embedded.clients import Clients
from embedded.layout import Parts
from embedded.removing import knows, remove_client
from embedded.state import StateFolder
from server.leaving import Left

NEEDED = Parts(airflow=False, api=False)
"""What must run to remove a client, and to look whether it is gone."""


def remove(
    name: Annotated[str, typer.Argument(help="Name of the client.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    delete_bucket: Annotated[
        bool, typer.Option("--delete-bucket", help="What lies in the client's own bucket, too.")
    ] = False,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Remove a client: its keys, its access, its rows and vectors; then look for each of them, and say what is left."""
    checked_client_name(name)
    is_platform = "TEJIDO_ENV_FILE" in os.environ
    if is_platform and delete_bucket:
        raise BadOption("--delete-bucket is for the embedded stack.", hint=f"Remove the volume store-data-{name}.")
    folder = None if is_platform else StateFolder.at(state)
    if folder is not None:
        knows(folder, name)
    if not yes:
        typer.confirm(f"Remove {name}, its keys, rows and vectors? This cannot be undone.", abort=True, err=True)
    left = (
        remove_from_platform(load_settings(), name)
        if folder is None
        else _remove(folder, state, name, delete_bucket=delete_bucket)
    )
    emit(left.as_dict(), how, _text)
    if not left.is_proved:
        raise LeavingUnproved(
            f"Not everything of {name} is gone.", hint="See what is left, and give the command again."
        )


def _remove(folder: StateFolder, state: Path, name: str, *, delete_bucket: bool) -> Left:
    """By the stack that runs, or else by one that runs for as long as it takes."""
    clients = Clients(folder)
    with nullcontext() if clients.is_running() else open_parts(state, clients.names(), NEEDED):
        return remove_client(folder, name, delete_bucket=delete_bucket)


def _text(found: dict[str, Any]) -> Group:
    table = Table("what", "looked for in", "found", "", title=f"{found['client']}, looked for at {found['at']}")
    for line in found["evidence"]:
        mark = "[green]gone[/]" if line["is_gone"] else "[yellow]kept[/]" if line["is_kept"] else "[red]left[/]"
        table.add_row(*(escape(line[column]) for column in ("what", "where", "found")), mark)
    return Group(table, _models(found["models"]))


def _models(parts: list[dict[str, Any]] | None) -> Table | Text:
    if parts is None:
        return Text("No MLflow runs here, so nobody could be asked which models it took part in.")
    if not parts:
        return Text("It took part in no model version.")
    table = Table("model version", "aliases", "run", "rounds accepted", "rejected", "by way of")
    for part in parts:
        table.add_row(
            part["version"],
            ", ".join(part["aliases"]),
            escape(part["run_key"]),
            str(part["accepted"]),
            str(part["rejected"]),
            escape(part["inherited_from"]),
        )
    return table
