"""`tejido federation baselines`: what a run is worth, against no training, each client alone, and all in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from cli.federation.options import RunArgument, settings_given
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from core.settings import Settings, load_settings
from server.baselines import compare_baselines


def baselines(
    run: RunArgument,
    centralised: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting that differs in the centralised run; repeatable."),
    ] = None,
    alone: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="The same for each client by itself.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="The folder of a simulation, for a run of `simulate`.")] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Train the baselines of a completed run on the same catalogue, with as many samples, and compare them on test."""
    settings = _simulation(folder) if folder else platform_settings(state)
    with command_progress(settings) as progress:
        result = compare_baselines(
            settings, run, progress, centralised=settings_given(centralised), alone=settings_given(alone)
        )
    emit(result, how, _tables)


def _simulation(folder: Path) -> Settings:
    return load_settings().model_copy(update={"simulation_dir": folder, "cache_dir": folder / "cache"})


def _tables(result: dict[str, Any]) -> Group:
    title = f"recall@10 on {result['queries']:,} test titles, gallery of {result['gallery']:,}"
    contenders = Table("", "samples", "best round", "recall@10", "recall@1", "federated gains", title=title)
    for row in result["contenders"]:
        contenders.add_row(
            row["name"],
            f"{row['samples']:,}",
            str(row["round"] or ""),
            f"{row['recall_at_10']:.3f}",
            f"{row['recall_at_1']:.3f}",
            _interval(row["federated_gains"]) if row["name"] != "federated" else "",
        )
    columns = ("client", "products", "its titles", "alone", "federated", "gains")
    clients = Table(*columns, title="Each client on its own held-out titles")
    for row in result["clients"]:
        clients.add_row(
            row["client"],
            f"{row['products']:,}",
            str(row["queries"]),
            f"{row['alone']:.3f}",
            f"{row['federated']:.3f}",
            _interval(row["federated_gains"]),
        )
    return Group(contenders, clients)


def _interval(bounds: list[float]) -> str:
    return escape(f"[{bounds[0]:+.3f}, {bounds[1]:+.3f}]")
