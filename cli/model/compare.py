"""`tejido model compare A B`: two versions on the same test queries, by metric, client, category and example."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from core.files import write_atomically
from server.comparing import compare as compare_models

MOST_CATEGORIES = 10
COLOURS = {"better": "green", "worse": "red"}


def compare(
    a: Annotated[str, typer.Argument(help="Number or alias of a version; `zero-shot`: B before any training.")],
    b: Annotated[str, typer.Argument(help="Number or alias of the version that is held against A.")],
    html: Annotated[Path | None, typer.Option(help="Also write the report to this file.")] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Compare two versions on the test set; the report with pictures is kept with B's run in MLflow."""
    settings = platform_settings(state)
    with command_progress(settings) as progress:
        result, page = compare_models(settings, a, b, progress=progress)
    if html:
        write_atomically(html, page.encode())
    emit(result, how, _text)


def _text(result: dict[str, Any]) -> Group:
    a, b = (_name(result[side]["version"]) for side in ("a", "b"))
    catalogue = result["catalogue"]
    head = f"{b} against {a}: {catalogue['queries']:,} test titles over {catalogue['gallery']:,} products"
    parts: list[RenderableType] = [
        _table(head, "", [{"name": row["metric"], **row} for row in result["metrics"]], a, b),
        *_groups("recall@10 by client", result["clients"], a, b),
    ]
    for by, groups in result["categories"].items():
        parts += _groups(f"recall@10 by {by}", groups, a, b)
    # An address that is broken over two lines cannot be opened.
    report = Text(f"Report: {result['report']['url']}", no_wrap=True, overflow="ignore")
    return Group(*parts, *_moved(result["moved"], a, b), report)


def _name(version: str) -> str:
    return f"v{version}" if version.isdigit() else version


def _groups(title: str, groups: dict[str, Any], a: str, b: str) -> Iterator[RenderableType]:
    rows, few = groups["judged"], groups["too_few"]
    if rows:
        yield _table(title, "", rows[:MOST_CATEGORIES], a, b)
    if left := len(rows[MOST_CATEGORIES:]):
        yield f"{left} more stand in the report."
    if few:
        yield f"{title}: {len(few)} more have too few titles to judge."


def _table(title: str, what: str, rows: list[dict[str, Any]], a: str, b: str) -> Table:
    table = Table(what, title=title, title_justify="left")
    for column in ("titles", a, b, "gain", "within"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        verdict, colour = row["verdict"], COLOURS.get(row["verdict"])
        table.add_row(
            escape(row["name"]),
            str(row.get("queries", "")),
            f"{row['a']:.3f}",
            f"{row['b']:.3f}",
            f"{row['difference']:+.3f}",
            escape(f"[{row['lower']:+.3f}, {row['upper']:+.3f}]"),
            f"[{colour}]{verdict}[/]" if colour else "chance",
        )
    return table


def _moved(moved: dict[str, Any], a: str, b: str) -> Iterator[RenderableType]:
    counts = moved["counts"]
    table = Table("title", "products", title="examples that moved furthest", title_justify="left")
    for column in (f"rank, {a}", f"rank, {b}"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in (*moved["up"], *reversed(moved["down"])):
        ids = ", ".join(map(str, row["product_ids"][:3])) + (" …" if len(row["product_ids"]) > 3 else "")
        table.add_row(escape(row["title"]), ids, f"{row['rank_a']:,}", f"{row['rank_b']:,}")
    yield table
    yield f"{counts['up']:,} titles are found earlier, {counts['down']:,} later, {counts['same']:,} as before."
