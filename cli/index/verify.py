"""`tejido index verify`: how much of what exact search finds the index finds, by how much a filter lets through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.index_verification import verify_index


def verify(
    version: Annotated[int | None, typer.Option(help="Index version; the live one by default.")] = None,
    queries: Annotated[
        Path | None, typer.Option(help="Queries that people have asked, one a line.", exists=True, dir_okay=False)
    ] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Measure recall@10 against exact search, and keep the figures with the version."""
    settings = platform_settings(state)
    texts = [line.strip() for line in queries.read_text().splitlines() if line.strip()] if queries else []
    with command_progress(settings) as progress:
        result = verify_index(settings, progress, version=version, texts=texts)
    emit(result, how, _table)


def _table(result: dict[str, Any]) -> Table:
    table = Table("filters let through", "searches", "recall@10 against exact", "short answers", title=_title(result))
    for bucket in result["recall"]:
        share = "no filter" if bucket["share_up_to"] is None else f"up to {bucket['share_up_to']:.1%}"
        table.add_row(share, str(bucket["searches"]), f"{bucket['recall_at_10']:.3f}", str(bucket["short"]))
    return table


def _title(result: dict[str, Any]) -> str:
    return f"Index version {result['version']}: {result['products']:,} products, {len(result['graphs'])} graphs"
