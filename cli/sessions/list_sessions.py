"""`tejido session list`: who is logged in."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from catalog.sessions import SessionStore
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def list_sessions(
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """List the sessions that go on, newest first."""
    with SessionStore(platform_settings(state).required("postgres_dsn")) as store:
        found = [{name: _shown(value) for name, value in asdict(one).items()} for one in store.alive(user)]
    emit({"sessions": found}, how, _table)


def _shown(value: object) -> object:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _table(result: dict[str, Any]) -> Table:
    table = Table("user", "since", "renewed", "ends unless renewed", "ends", "session")
    for one in result["sessions"]:
        moments = (one[name] for name in ("started_at", "renewed_at", "expires_at", "ends_at"))
        table.add_row(one["username"], *(moment[:19].replace("T", " ") for moment in moments), one["family"])
    return table
