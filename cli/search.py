"""`tejido search`: ask the API from the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.errors import BadOption
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption
from cli.token import signed_in


def search(
    text: Annotated[str | None, typer.Argument(help="What to look for.")] = None,
    image: Annotated[Path | None, typer.Option(help="Search by this picture instead.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many hits.")] = 10,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Search the published catalogue by words or by picture."""
    if (text is None) == (image is None):
        raise BadOption("Give either words or --image, not both and not neither.")
    if image is not None and not image.is_file():
        raise BadOption(f"{image} does not exist.")
    api = signed_in(state)
    if image is not None:
        result = api.by_image(image.read_bytes(), shown=image.name, limit=limit)
    else:
        result = api.by_text(text or "", limit=limit)
    emit(result, how, hits_table)


def hits_table(answer: dict[str, Any]) -> Table:
    """The hits of one search."""
    table = Table("score", "id", "product", title=f"“{answer['query']}”", title_justify="left")
    for hit in answer["hits"]:
        table.add_row(f"{hit['score']:.3f}", str(hit["id"]), hit["productDisplayName"])
    return table
