"""index_catalog: embed the catalogue with the champion into a new index version, verify it, swap it in.

It runs on every new champion. Nothing is built where the live version has this champion and this catalogue already.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task
from assets import CHAMPION
from platform_command import current_run, progress_key, report_failure, run_tejido


@dag(
    dag_id="index_catalog",
    schedule=[CHAMPION],
    catchup=False,
    max_active_runs=1,
    params={
        "rebuild": Param(
            False,
            type="boolean",
            title="Rebuild",
            description="Build a new version even if the live one has this model and this catalogue.",
        ),
    },
    on_failure_callback=report_failure,
    tags=["tejido", "index"],
    doc_md=__doc__,
    dagrun_timeout=timedelta(hours=6),
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10), "execution_timeout": timedelta(hours=5)},
)
def index_catalog() -> None:
    """Draw the graph."""

    @task
    def build() -> Any:
        """Embed, build, compare with exact search, swap in one transaction, retire the old version."""
        params, run_id = current_run()
        rebuild = ["--rebuild"] if params["rebuild"] else []
        return run_tejido("index", "build", *rebuild, progress_key=progress_key(run_id))

    @task
    def status() -> Any:
        """Read back which version answers queries now."""
        return run_tejido("index", "status")

    build() >> status()


index_catalog()
