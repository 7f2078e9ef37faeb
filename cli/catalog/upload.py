"""`tejido catalog upload`: a client's products from a folder into the live catalogue, through the API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

from catalog.sources.directory import DirectorySource
from cli.api import SearchApi
from cli.output import Format, FormatOption, emit
from cli.passwords import PasswordFileOption, given_password
from cli.progress import terminal_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from cli.uploading import upload as send


def upload(
    folder: Annotated[
        Path, typer.Argument(help="Folder with styles.csv and images/<id>.jpg; the id is the reference.")
    ],
    user: Annotated[str, typer.Option(help="Name of the client's curator.")],
    url: Annotated[str | None, typer.Option(envvar="TEJIDO_API_URL", help="Of the API; else the stack's.")] = None,
    unpublished: Annotated[bool, typer.Option("--unpublished", help="Keep them to the client for now.")] = False,
    password_file: PasswordFileOption = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Write products as a client's curator; run again, it sends only what is new or changed."""
    source = DirectorySource(folder, limit=None, seed=0)
    address = url or platform_settings(state).required("api_url")
    api = SearchApi(address, username=user, password=given_password(password_file))
    api.sign_in()
    with terminal_progress() as progress:
        result = send(api, source, total=source.expected, progress=progress, publish=not unpublished)
    emit(result, how, _shown)
    if result["refused"]:
        raise typer.Exit(1)


def _shown(result: dict[str, Any]) -> object:
    counts = ", ".join(f"{number:,} {state}" for state, number in result["products"].items())
    if not result["refused"]:
        return f"{counts}."
    table = Table("row", "reference", "why", "what to do")
    for product in result["refused"]:
        table.add_row(str(product["row"]), product["reference"] or "", product["message"], product["hint"])
    return Group(f"{counts}.", table)
