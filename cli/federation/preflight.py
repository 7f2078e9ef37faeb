"""`tejido federation preflight`: whether a run could succeed now."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from catalog.manifest import client_manifest
from cli.catalog.options import client_stores
from cli.errors import BucketOutdated
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.runs import preflight as check


def preflight(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Check that the catalogue is live, MLflow answers, clients are online and their buckets can be read."""
    settings = platform_settings(state)
    found = check(settings)
    stored = {name: client_manifest(store) for name, store in client_stores(settings).items()}
    outdated = [name for name, held in stored.items() if held.version != found["catalogue_version"]]
    if outdated:
        raise BucketOutdated(
            f"The live catalogue is {found['catalogue_version']}; {', '.join(outdated)} holds another one.",
            hint="Load the catalogue again: `tejido catalog load`, or run catalog_etl.",
        )
    emit(found, how, _table)


def _table(result: dict[str, Any]) -> Table:
    table = Table("client", "status", "products", title=f"Catalogue {result['catalogue_version']}")
    for client in result["clients"]:
        table.add_row(client["name"], client["status"], f"{client['products']:,}")
    return table
