"""`tejido housekeeping`: remove what nobody will ask for again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from catalog.sessions import SessionStore
from cli.airflow import Airflow
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from core.settings import Settings
from server.housekeeping import clean_up


def housekeeping(
    keep_runs: Annotated[int, typer.Option(min=1, help="Of so many finished runs every checkpoint stays.")] = 10,
    keep_days: Annotated[int, typer.Option(min=1, help="So long everything else stays that is over.")] = 30,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Remove old checkpoints, index versions, recorded failures and DAG runs; what is live is never touched."""
    settings = platform_settings(state)
    result = clean_up(settings, keep_runs=keep_runs, keep_days=keep_days)
    before = datetime.now(UTC) - timedelta(days=keep_days)
    with SessionStore(settings.required("postgres_dsn")) as sessions:
        result["sessions"] = sessions.forget(before)
    result["dag_runs"] = _drop_dag_runs(settings, before)
    emit(result, how, _text)


def _drop_dag_runs(settings: Settings, before: datetime) -> int:
    """Old DAG runs with all that hangs on them, by Airflow's own API: tasks have no way to its database."""
    if settings.airflow_url is None or settings.airflow_password_file is None:
        return 0
    airflow = Airflow(
        settings.airflow_url,
        username=settings.airflow_username,
        password=Path(settings.airflow_password_file).read_text(),
    )
    return airflow.delete_runs(before=before)


def _text(result: dict[str, Any]) -> str:
    removed = {
        "finished runs' checkpoints": len(result["runs_trimmed"]),
        "runs that broke off": len(result["runs_removed"]),
        "index versions": len(result["index_versions"]),
        "recorded failures": result["failures"],
        "sessions that are over": result["sessions"],
        "DAG runs": result["dag_runs"],
    }
    return "Removed: " + ", ".join(f"{count} {what}" for what, count in removed.items()) + "."
