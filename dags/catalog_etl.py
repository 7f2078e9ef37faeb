"""catalog_etl: obtain a catalogue, clean it, split it, give each client its partition, publish it.

Every task is one `tejido catalog` command and is safe to repeat: all of them work on the version named after the run,
and nothing is live before `publish`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, task
from platform_command import current_run, progress_key, run_tejido

PARAMS = {
    "source": Param(
        "synthetic",
        type="string",
        title="Source",
        description="`hf:owner/name`, `dir:PATH` (styles.csv and images/), or `synthetic`.",
    ),
    "products": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="Products",
        description="Take at most this many; empty takes all.",
    ),
    "partition": Param(
        "iid",
        type="string",
        title="Partition",
        description="How products are spread over the clients: `iid` or `dirichlet(0.5, sub_category)`.",
    ),
    "seed": Param(0, type="integer", minimum=0, title="Seed"),
    "then_train": Param(True, type="boolean", title="Train afterwards"),
    "rounds": Param(3, type="integer", minimum=1, maximum=1000, title="Rounds (when training afterwards)"),
    "preset": Param("lite", type="string", title="Model preset (when training afterwards)"),
}


@dag(
    dag_id="catalog_etl",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    tags=["tejido", "catalogue"],
    doc_md=__doc__,
    render_template_as_native_obj=True,
    dagrun_timeout=timedelta(hours=6),
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10), "execution_timeout": timedelta(hours=2)},
)
def catalog_etl() -> None:
    """Draw the graph."""

    @task
    def obtain() -> Any:
        """Read the source into s3://data/raw."""
        params, run_id = current_run()
        return run_tejido(
            "catalog",
            "obtain",
            "--run",
            run_id,
            "--source",
            params["source"],
            "--seed",
            params["seed"],
            *(["--products", params["products"]] if params["products"] else []),
            progress_key=progress_key(run_id),
        )

    @task
    def clean_and_split() -> Any:
        """Reject what cannot be used, each with a reason; split by name into train, val and test."""
        _, run_id = current_run()
        return run_tejido("catalog", "clean", "--run", run_id, progress_key=progress_key(run_id))

    @task
    def partition() -> Any:
        """Put each client's part of the train split into its own bucket."""
        params, run_id = current_run()
        return run_tejido(
            "catalog",
            "partition",
            "--run",
            run_id,
            "--partition",
            params["partition"],
            progress_key=progress_key(run_id),
        )

    @task
    def publish() -> Any:
        """Replace the rows of fashion_files in one transaction, move the live manifest, log the run to MLflow."""
        _, run_id = current_run()
        return run_tejido("catalog", "publish", "--run", run_id, progress_key=progress_key(run_id))

    @task.short_circuit
    def is_training_wanted() -> bool:
        """Go on only if asked to."""
        return bool(current_run()[0]["then_train"])

    start_training = TriggerDagRunOperator(
        task_id="start_training",
        trigger_dag_id="federated_finetune",
        trigger_run_id="{{ run_id }}",
        conf={"rounds": "{{ params.rounds }}", "preset": "{{ params.preset }}", "seed": "{{ params.seed }}"},
        reset_dag_run=True,
    )

    obtain() >> clean_and_split() >> partition() >> publish() >> is_training_wanted() >> start_training


catalog_etl()
