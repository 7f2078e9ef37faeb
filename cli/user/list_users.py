"""`tejido user list`: who may log in."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from catalog.store import CatalogueStore
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def list_users(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """List who may log in to the API, and as what."""
    with CatalogueStore(platform_settings(state).required("postgres_dsn")) as store:
        users = [
            {
                "username": user.username,
                "roles": user.roles,
                "client": user.client,
                "since": user.created_at.isoformat(),
            }
            for user in store.users()
        ]
    emit({"users": users}, how, _table)


def _table(result: dict[str, Any]) -> Table:
    table = Table("user", "roles", "client", "since")
    for user in result["users"]:
        table.add_row(user["username"], ", ".join(user["roles"]), user["client"] or "", user["since"][:10])
    return table
