"""`tejido failures record`: keep a failed DAG run where operators look."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.failures import record_failure


def record(
    dag: Annotated[str, typer.Option(help="The DAG.")],
    run: Annotated[str, typer.Option("--run", help="Its run.")],
    reason: Annotated[str, typer.Option(help="Why it failed, in Airflow's words.")],
    task: Annotated[str | None, typer.Option(help="The task that failed last.")] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Keep a failed DAG run, and post it to TEJIDO_NOTIFY_URL; the DAGs call this."""
    failure = record_failure(platform_settings(state), dag_id=dag, run_id=run, task_id=task, reason=reason)
    emit(asdict(failure), how, lambda _: str(failure))
