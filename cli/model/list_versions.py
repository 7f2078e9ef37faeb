"""`tejido model list`: model versions, their aliases and their recall."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.tracking import Tracker


def list_versions(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """List the model versions, newest first."""
    tracker = Tracker.of(platform_settings(state))
    versions = [
        {
            "version": version.version,
            "aliases": sorted(version.aliases),
            "run_id": version.run_id,
            "recall_at_10": tracker.metrics(version.run_id).get("test_recall_at_10"),
        }
        for version in tracker.versions()
    ]
    emit({"versions": versions}, how, _table)


def _table(result: dict[str, Any]) -> Table:
    table = Table("version", "aliases", "test recall@10", "run")
    for version in result["versions"]:
        recall = version["recall_at_10"]
        shown = "" if recall is None else f"{recall:.3f}"
        table.add_row(version["version"], ", ".join(version["aliases"]), shown, version["run_id"])
    return table
