"""client_wave: ask every client that is online for what it publishes, and bring it into the live index version.

So a client's decision is followed within minutes, and the products of one that was away when a new model went live move
to its index by themselves.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task
from platform_command import current_run, progress_key, report_failure, run_tejido

SCHEDULE = os.environ.get("TEJIDO_WAVE_SCHEDULE", "*/15 * * * *")
"""Cron, in UTC; empty: only when somebody asks for it."""


@dag(
    dag_id="client_wave",
    schedule=CronTriggerTimetable(SCHEDULE, timezone="UTC", run_immediately=timedelta(0)) if SCHEDULE else None,
    catchup=False,
    max_active_runs=1,
    on_failure_callback=report_failure,
    tags=["tejido", "index"],
    doc_md=__doc__,
    dagrun_timeout=timedelta(hours=2),
    default_args={"retries": 1, "retry_delay": timedelta(minutes=1), "execution_timeout": timedelta(hours=1)},
)
def client_wave() -> None:
    """Draw the graph."""

    @task
    def wave() -> Any:
        """One wave; nothing is asked while no index version is live."""
        _, run_id = current_run()
        return run_tejido("client", "wave", progress_key=progress_key(run_id))

    wave()


client_wave()
