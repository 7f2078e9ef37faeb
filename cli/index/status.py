"""`tejido index status`: the index versions, and which one answers queries."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from catalog.index import IndexStore
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def status(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """List the index versions; the live one answers queries."""
    with IndexStore(platform_settings(state).required("postgres_dsn")) as index:
        versions = [{key: _plain(value) for key, value in asdict(version).items()} for version in index.versions()]
    emit({"versions": versions}, how, _table)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | None) else str(value)


def _table(result: dict[str, Any]) -> Table:
    table = Table("version", "state", "model version", "catalogue", "products", "recall@10 against exact")
    for version in result["versions"]:
        recall = version["recall_at_10"]
        table.add_row(
            str(version["id"]),
            str(version["state"]),
            str(version["model_version"]),
            str(version["catalogue_version"]),
            f"{version['products']:,}",
            "" if recall is None else f"{recall:.3f}",
        )
    return table
