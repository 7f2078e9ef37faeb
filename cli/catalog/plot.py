"""`tejido catalog plot`: a picture of who holds what."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from catalog.census import take_census
from catalog.manifest import live_manifest
from catalog.product import ATTRIBUTES
from cli.catalog.options import data_store
from cli.errors import BadOption
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from core.files import write_atomically
from server.plots import partition_plot


def plot(
    out: Annotated[Path, typer.Option(help="The PNG file to write.")],
    by: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(ATTRIBUTES)}; left out, the partition's own.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Draw how the live catalogue's train split is spread over the clients."""
    if by is not None and by not in ATTRIBUTES:
        raise BadOption(f"--by is {by!r}.", hint=f"Choose one of: {', '.join(ATTRIBUTES)}.")
    store = data_store(platform_settings(state))
    census = take_census(store, live_manifest(store), by)
    try:
        write_atomically(out, partition_plot(census))
    except OSError as error:
        raise BadOption(f"{out} cannot be written: {error}.", hint="Name another file.") from error
    emit({**asdict(census), "out": str(out)}, how, lambda found: f"{len(found['clients'])} clients drawn in {out}.")
