"""`tejido index status`: the index versions, and which one answers queries."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.index_status import index_status


def status(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """List the index versions; the live one answers queries."""
    emit(index_status(platform_settings(state)), how, _table)


def _table(result: dict[str, Any]) -> Table:
    table = Table("version", "state", "model version", "catalogue", "products", "recall@10 against exact")
    for version in result["versions"]:
        products, recall = version["products"], version["recall_at_10"]
        table.add_row(
            str(version["version"]),
            version["state"],
            version["model_version"],
            version["catalogue_version"],
            _progress(version) if products is None else f"{products:,}",
            "" if recall is None else f"{recall:.3f}",
        )
    return table


def _progress(version: dict[str, Any]) -> str:
    return f"{version['added']:,}" + (f" of {version['expected']:,}" if version["expected"] else "")
