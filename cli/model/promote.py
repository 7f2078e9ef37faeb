"""`tejido model promote`: the challenger becomes the champion if it is better beyond chance and harms no client."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.promotion import promote as judge
from server.tracking import CHALLENGER


def promote(
    version: Annotated[str, typer.Argument(help="Number or alias of the version.")] = CHALLENGER,
    override: Annotated[
        str | None,
        typer.Option(help="Promote although it was refused; say why, it is recorded with the version."),
    ] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Compare a version with the champion on the test set, and promote it if it is better and harms no client."""
    settings = platform_settings(state)
    with command_progress(settings) as progress:
        result = judge(settings, version=version, override=override, progress=progress)
    emit(result, how, _text)


def _text(result: dict[str, Any]) -> Group:
    recall = result["recall_at_10"]
    verdict = "is the champion now" if result["promoted"] else "was not promoted"
    interval = result["interval"]
    gain = f", gain 95 % within [{interval[0]:+.4f}, {interval[1]:+.4f}]" if interval else ""
    said = (
        f"Version {result['version']} {verdict}: {result['reason']} "
        f"(recall@10 {recall['challenger']:.3f} against {recall['incumbent']:.3f}{gain})."
    )
    return Group(said, *([_clients(result)] if result["clients"] else []))


def _clients(result: dict[str, Any]) -> Table:
    columns = ("client", "its titles", "before", "now", "difference within")
    table = Table(*columns, title="Each client's own held-out titles")
    for client in result["clients"]:
        interval = f"[{client['lower']:+.3f}, {client['upper']:+.3f}]" + (" worse" if client["is_harmed"] else "")
        before, now = f"{client['incumbent']:.3f}", f"{client['challenger']:.3f}"
        table.add_row(client["client"], str(client["queries"]), before, now, escape(interval))
    for name, queries in result["unjudged"].items():
        table.add_row(name, str(queries), "", "", "too few to judge")
    return table
