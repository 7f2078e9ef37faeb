"""housekeeping: remove old checkpoints, retired index versions, recorded failures, and what Airflow keeps of old runs.

Access tokens are signed and expire by themselves, and nothing of them is stored. Airflow's other tables (its audit log,
its jobs) are no task's to clean, as tasks have no way to its database: the embedded stack does it at its start;
elsewhere `airflow db clean` does, run where the scheduler runs.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task
from platform_command import report_failure, run_tejido

SCHEDULE = os.environ.get("TEJIDO_HOUSEKEEPING_SCHEDULE", "0 4 * * *")
"""Cron, in UTC; empty: only when somebody asks for it."""
KEEP_RUNS = int(os.environ.get("TEJIDO_KEEP_RUNS", "10"))
KEEP_DAYS = int(os.environ.get("TEJIDO_KEEP_DAYS", "30"))


@dag(
    dag_id="housekeeping",
    schedule=CronTriggerTimetable(SCHEDULE, timezone="UTC", run_immediately=timedelta(0)) if SCHEDULE else None,
    catchup=False,
    max_active_runs=1,
    on_failure_callback=report_failure,
    tags=["tejido"],
    doc_md=__doc__,
    dagrun_timeout=timedelta(hours=2),
    default_args={"retries": 1, "retry_delay": timedelta(minutes=1), "execution_timeout": timedelta(hours=1)},
)
def housekeeping() -> None:
    """Draw the graph; the two tasks have nothing to do with each other."""

    @task
    def platform() -> Any:
        """Checkpoints, index versions, failures, DAG runs."""
        return run_tejido("housekeeping", "--keep-runs", KEEP_RUNS, "--keep-days", KEEP_DAYS)

    @task
    def airflow_logs() -> int:
        """Log files that nothing was written to for long; returns how many."""
        # Read by the task and not with the file: the configuration of the worker counts.
        from airflow.sdk.configuration import conf

        folder = Path(conf.get("logging", "base_log_folder"))
        old = time.time() - KEEP_DAYS * 24 * 3600
        files = [file for file in folder.rglob("*.log*") if file.is_file() and file.stat().st_mtime < old]
        for file in files:
            file.unlink(missing_ok=True)
            # The folders of a run go with its last file.
            with suppress(OSError):
                file.parent.rmdir()
                file.parent.parent.rmdir()
        return len(files)

    platform()
    airflow_logs()


housekeeping()
