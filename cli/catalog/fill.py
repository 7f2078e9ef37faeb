"""`tejido catalog fill`: put one client's part of the train split into its bucket."""

from __future__ import annotations

from typing import Annotated

import typer

from catalog import etl
from catalog.manifest import version_of_run
from cli.catalog.options import RunOption, client_stores, data_store
from cli.errors import BadOption
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def fill(
    run: RunOption,
    client: Annotated[str, typer.Option(help="Name of the client.")],
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Put one client's part into its bucket, beside what is live there."""
    settings = platform_settings(state)
    stores = client_stores(settings)
    if client not in stores:
        raise BadOption(f"There is no client {client!r}.", hint=f"There are {', '.join(stores)}.")
    with command_progress(settings) as progress:
        (filled,) = etl.fill(
            version_of_run(run), clients={client: stores[client]}, store=data_store(settings), progress=progress
        )
    said = f"{client}: {filled['products']:,} products; {filled['reused']} of {filled['shards']} shards were there."
    emit(filled, how, lambda _: said)
