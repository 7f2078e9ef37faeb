"""catalog_etl: obtain a catalogue, clean it, split it, give each client its partition, publish it.

Every task is one `tejido catalog` command and is safe to repeat: all of them work on the version named after the run,
and nothing is live before `publish`. What the live catalogue has already, shard by shard, is not stored again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task
from assets import CATALOGUE
from platform_command import announce, current_run, progress_key, report_failure, run_tejido

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
    "then_train": Param(
        True,
        type="boolean",
        title="Train afterwards",
        description="Else federated_finetune leaves this catalogue to its next scheduled run.",
    ),
    "rounds": Param(3, type="integer", minimum=1, maximum=1000, title="Rounds (when training afterwards)"),
    "preset": Param("lite", type="string", title="Model preset (when training afterwards)"),
}


@dag(
    dag_id="catalog_etl",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    on_failure_callback=report_failure,
    tags=["tejido", "catalogue"],
    doc_md=__doc__,
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
    def assign() -> list[str]:
        """Decide who holds which product of the train split; returns the clients' names."""
        params, run_id = current_run()
        assigned = run_tejido("catalog", "assign", "--run", run_id, "--partition", params["partition"])
        return [client["name"] for client in assigned["clients"]]

    @task(map_index_template="{{ task.op_kwargs['client'] }}")
    def fill(client: str) -> Any:
        """Put one client's part into its own bucket, beside what is live there."""
        _, run_id = current_run()
        key = progress_key(run_id)
        return run_tejido("catalog", "fill", "--run", run_id, "--client", client, progress_key=key)

    @task
    def hand_over() -> Any:
        """Make the parts the clients' own, once every one lies ready."""
        _, run_id = current_run()
        return run_tejido("catalog", "hand-over", "--run", run_id)

    @task(outlets=[CATALOGUE])
    def publish() -> Any:
        """Replace the rows of fashion_files in one transaction, move the live manifest, log the run to MLflow."""
        params, run_id = current_run()
        published = run_tejido("catalog", "publish", "--run", run_id, progress_key=progress_key(run_id))
        announce(CATALOGUE, run_id, {name: params[name] for name in ("then_train", "rounds", "preset", "seed")})
        return published

    assigned = assign()
    obtain() >> clean_and_split() >> assigned
    fill.expand(client=assigned) >> hand_over() >> publish()


catalog_etl()
