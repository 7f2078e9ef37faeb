"""federated_finetune: check that a run can succeed, run the federated rounds, promote the model if it earned it.

It runs on every new catalogue, and every night (TEJIDO_FINETUNE_SCHEDULE). A backfill trains nothing: every run is
about the catalogue that is live now.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException
from assets import CATALOGUE, CHAMPION
from federated_run import FederatedRun
from platform_command import announce, current_run, progress_key, report_failure, run_tejido

NIGHTLY = os.environ.get("TEJIDO_FINETUNE_SCHEDULE", "0 2 * * *")
"""Cron, in UTC; empty: only on a new catalogue."""

PARAMS = {
    "rounds": Param(3, type="integer", minimum=1, maximum=1000, title="Rounds"),
    "preset": Param("lite", type="string", title="Model preset", description="`lite`, or `tiny` for a quick try."),
    "seed": Param(0, type="integer", minimum=0, title="Seed"),
    "trainable": Param("heads", type="string", enum=["heads", "lora", "full"], title="What is trained and travels"),
    "strategy": Param("fedavg", type="string", title="How updates are combined"),
    "encoding": Param("fp32", type="string", enum=["fp32", "fp16", "int8"], title="How updates travel"),
    "clients": Param("", type="string", title="Clients", description="Names separated by commas; empty: all."),
    "settings": Param(
        {},
        type="object",
        title="Other settings",
        description='Any key of the run\'s config, as in `{"local-epochs": 5}`.',
    ),
    "then_index": Param(True, type="boolean", title="Index the catalogue afterwards"),
}


def when() -> Any:
    """On every new catalogue, and by the clock where a time is set."""
    if not NIGHTLY:
        return [CATALOGUE]
    # Not at once after the very first start, though a night has just passed.
    nightly = CronTriggerTimetable(NIGHTLY, timezone="UTC", run_immediately=timedelta(0))
    return AssetOrTimeSchedule(timetable=nightly, assets=[CATALOGUE])


@dag(
    dag_id="federated_finetune",
    schedule=when(),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    on_failure_callback=report_failure,
    tags=["tejido", "federation"],
    doc_md=__doc__,
    dagrun_timeout=timedelta(hours=24),
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
)
def federated_finetune() -> None:
    """Draw the graph."""

    @task.short_circuit
    def is_training_wanted() -> bool:
        """Not where the catalogue came with the wish not to, and not in a backfill: no past night has a catalogue."""
        params, _ = current_run()
        return params.get("then_train", True) and get_current_context()["dag_run"].run_type != "backfill"

    @task(execution_timeout=timedelta(minutes=5))
    def preflight() -> Any:
        """Clients online, their buckets readable, the catalogue published, MLflow answering."""
        _, run = current_run()
        return run_tejido("federation", "preflight", progress_key=progress_key(run))

    # Run the rounds on the SuperLink and evaluate on the test set; leaves a `challenger` in MLflow. Another try goes on
    # after the last complete round: whatever was killed has some time to come back.
    train = FederatedRun(task_id="train", within=timedelta(hours=10), retries=3, retry_delay=timedelta(seconds=20))

    @task(execution_timeout=timedelta(minutes=15))
    def promote(trained: Any) -> Any:
        """Make this run's model the champion if its test recall@10 is better beyond chance."""
        _, run = current_run()
        return run_tejido("model", "promote", trained["mlflow"]["version"], progress_key=progress_key(run))

    @task(outlets=[CHAMPION])
    def announce_champion(promoted: Any) -> None:
        """Tell that there is a new champion, and only then; index_catalog waits for it."""
        params, run = current_run()
        # By the alias, not by who moved it: a try that died after moving it must not leave the index behind.
        if promoted["alias"] != "champion" or not params["then_index"]:
            raise AirflowSkipException("There is no new champion, or its index is not wanted.")
        announce(CHAMPION, run)

    @task.short_circuit
    def is_catalogue_alone_new(promoted: Any) -> bool:
        """The champion stays, if there is one, but the catalogue may be new to its index."""
        if promoted["alias"] == "champion" or not current_run()[0]["then_index"]:
            return False
        return any("champion" in version["aliases"] for version in run_tejido("model", "list")["versions"])

    start_indexing = TriggerDagRunOperator(
        task_id="start_indexing",
        trigger_dag_id="index_catalog",
        # Airflow keeps the beginnings of its own run ids to itself.
        trigger_run_id="after_{{ run_id }}",
        reset_dag_run=True,
    )

    promoted = promote(train.output)
    is_training_wanted() >> preflight() >> train
    announce_champion(promoted)
    is_catalogue_alone_new(promoted) >> start_indexing


federated_finetune()
