"""`tejido client published`: which index version has how many of each client's own products."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from catalog.index import IndexStore
from catalog.publications import Publications
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def published(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Show where the products are found that clients published: in the live version, or still in an older one."""
    dsn = platform_settings(state).required("postgres_dsn")
    with IndexStore(dsn) as index, Publications(dsn) as publications:
        live, held = index.live(), publications.held()
    entries = [{"client": found.owner, "version": found.version, "products": found.products} for found in held]
    emit({"live": live.id if live else None, "held": entries}, how, _table)


def _table(found: dict[str, Any]) -> Table:
    table = Table("client", "index version", "products")
    for entry in found["held"]:
        which = f"{entry['version']} (live)" if entry["version"] == found["live"] else str(entry["version"])
        table.add_row(entry["client"], which, f"{entry['products']:,}")
    return table
