"""federated_finetune: check that a run can succeed, run the federated rounds, promote the model if it earned it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, task
from platform_command import current_run, progress_key, run_tejido

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

OPTIONS = ("rounds", "preset", "seed", "trainable", "strategy", "encoding", "clients")
"""Parameters that are options of the command; `settings` are its ``--set``."""


@dag(
    dag_id="federated_finetune",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    tags=["tejido", "federation"],
    doc_md=__doc__,
    dagrun_timeout=timedelta(hours=12),
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
)
def federated_finetune() -> None:
    """Draw the graph."""

    @task(execution_timeout=timedelta(minutes=5))
    def preflight() -> Any:
        """Clients online, their buckets readable, the catalogue published, MLflow answering."""
        _, run_id = current_run()
        return run_tejido("federation", "preflight", progress_key=progress_key(run_id))

    # Another try goes on after the last complete round: whatever was killed has some time to come back.
    @task(execution_timeout=timedelta(hours=10), retries=3, retry_delay=timedelta(seconds=20))
    def train() -> Any:
        """Run the rounds on the SuperLink and evaluate on the test set; leaves a `challenger` in MLflow."""
        params, run_id = current_run()
        options = [part for name in OPTIONS for part in (f"--{name}", params[name])]
        settings = [part for key, value in params["settings"].items() for part in ("--set", f"{key}={value}")]
        return run_tejido("federation", "run", "--run", run_id, *options, *settings, progress_key=progress_key(run_id))

    @task(execution_timeout=timedelta(minutes=15))
    def promote() -> Any:
        """Make the challenger the champion if its test recall@10 is better beyond chance."""
        _, run_id = current_run()
        return run_tejido("model", "promote", progress_key=progress_key(run_id))

    @task.short_circuit
    def is_indexing_wanted() -> bool:
        """Go on only if asked to."""
        return bool(current_run()[0]["then_index"])

    start_indexing = TriggerDagRunOperator(
        task_id="start_indexing",
        trigger_dag_id="index_catalog",
        trigger_run_id="{{ run_id }}",
        reset_dag_run=True,
    )

    preflight() >> train() >> promote() >> is_indexing_wanted() >> start_indexing


federated_finetune()
