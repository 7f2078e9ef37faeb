"""The DAGs as Airflow really runs them: once for many triggers, and to the same end when they are run again.

The tests stand in the order of the pipeline: each goes on from what the one before has left on the stack.
"""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from catalog.index import IndexStore
from catalog.objects import S3ObjectStore
from catalog.store import CatalogueStore
from cli.airflow import Airflow, DagRun
from core.progress import NoProgress
from core.settings import Settings
from server.failures import recent_failures
from server.promotion import promote
from server.runs import wait_for_federation
from server.tracking import ETL_EXPERIMENT, FEDERATED_EXPERIMENT, Tracker
from tests.integration.airflow.conftest import Listener

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
RUN = "twenty-times"
CONF = {"source": "synthetic", "products": 60, "rounds": 1, "preset": "tiny"}
ENDS_WITHIN_S = 240.0


def ended(airflow: Airflow, dag_id: str, run_id: str) -> DagRun:
    """The run once it has ended."""
    until = time.monotonic() + ENDS_WITHIN_S
    while True:
        run = airflow.run(dag_id, run_id)
        if run is not None and run.is_finished:
            return run
        assert time.monotonic() < until, f"{dag_id} {run_id} is {run.state if run else 'not there'}"
        time.sleep(0.5)


def succeeded(airflow: Airflow, dag_id: str, run_id: str) -> None:
    """Wait, and show the failed task's log if there is one."""
    run, failed = ended(airflow, dag_id, run_id), airflow.failed_task(dag_id, run_id)
    assert (run.state, failed) == ("success", None), failed and airflow.log_tail(dag_id, run_id, *failed)


def runs_made_by(airflow: Airflow, source: tuple[str, str], dag_id: str, *, count: int) -> list[str]:
    """The runs of ``dag_id`` that assets of one run have started, newest first, once there are so many."""
    until = time.monotonic() + ENDS_WITHIN_S
    while True:
        asked = {"source_dag_id": source[0], "source_run_id": source[1], "order_by": "-timestamp"}
        events = airflow._call("GET", "/api/v2/assets/events", params=asked)["asset_events"]
        runs = [run["run_id"] for event in events for run in event["created_dagruns"] if run["dag_id"] == dag_id]
        if len(runs) >= count:
            assert len(runs) == count
            return runs
        assert time.monotonic() < until
        time.sleep(0.5)


def run_again(airflow: Airflow, dag_id: str, run_id: str) -> None:
    """Clear every task of a run, and wait until all have run again."""
    body = {"dry_run": False, "only_failed": False, "dag_run_id": run_id}
    airflow._call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body)
    succeeded(airflow, dag_id, run_id)


def tasks(airflow: Airflow, dag_id: str, run_id: str) -> dict[str, str]:
    """State of each task of a run; mapped ones by their number."""
    found = airflow._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
    return {f"{t['task_id']}[{t['map_index']}]" if t["map_index"] >= 0 else t["task_id"]: t["state"] for t in found}


def state_of(settings: Settings) -> dict[str, Any]:
    """All that the DAGs leave behind and users see: objects, rows, models, runs, index versions."""
    objects: dict[tuple[str, str], str] = {}
    for bucket in ("data", "checkpoints"):
        store = S3ObjectStore(settings.platform_bucket(bucket))
        objects |= {
            (bucket, key): hashlib.sha256(store.get(key)).hexdigest()
            for key in store.list("")
            if not key.startswith("failures/")
        }
    tracker = Tracker.of(settings)
    with (
        CatalogueStore(settings.required("postgres_dsn")) as catalogue,
        IndexStore(settings.required("postgres_dsn")) as index,
    ):
        return {
            "objects": objects,
            "rows": catalogue.all_files(1000),
            "models": tracker.versions(),
            "index": index.versions(),
            "tracked": [runs_of(tracker, name) for name in (ETL_EXPERIMENT, FEDERATED_EXPERIMENT)],
        }


def runs_of(tracker: Tracker, experiment: str) -> list[str]:
    """Ids of an experiment's runs."""
    known = tracker._client.get_experiment_by_name(experiment)
    assert known is not None
    return sorted(run.info.run_id for run in tracker._client.search_runs([known.experiment_id]))


BURST_S = 200
"""Twenty requests at once take Airflow twenty seconds of a processor that it may have to share."""


def test_twenty_triggers_of_one_run_give_one_run(airflow: Airflow) -> None:
    def trigger(_: int) -> int:
        body = {"dag_run_id": RUN, "conf": CONF, "logical_date": None}
        path = "/api/v2/dags/catalog_etl/dagRuns"
        return airflow._request("POST", path, json=body, timeout=BURST_S).status_code

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(trigger, range(20)))
    assert answers == [httpx.codes.OK] + 19 * [httpx.codes.CONFLICT]
    assert airflow._call("GET", "/api/v2/dags/catalog_etl/dagRuns")["total_entries"] == 1
    succeeded(airflow, "catalog_etl", RUN)
    assert {name for name in tasks(airflow, "catalog_etl", RUN) if name.startswith("fill")} == {"fill[0]", "fill[1]"}


def test_a_new_catalogue_trains_once_and_holds_no_worker_meanwhile(
    airflow: Airflow, settings: Settings, listener: Listener
) -> None:
    (trained,) = runs_made_by(airflow, ("catalog_etl", RUN), "federated_finetune", count=1)
    states = set()
    while (run := airflow.run("federated_finetune", trained)) is not None and not run.is_finished:
        states.add(tasks(airflow, "federated_finetune", trained).get("train"))
        time.sleep(0.3)
    assert "deferred" in states
    succeeded(airflow, "federated_finetune", trained)
    result = airflow.result("federated_finetune", trained, "train")
    assert [entry["round"] for entry in result["rounds"]] == [1]
    assert result["run_id"].startswith(RUN)
    assert result == wait_for_federation(settings, RUN, NoProgress())
    # One round of a tiny model beats nothing, and without a champion there is nothing to index with.
    assert airflow.skipped_tasks("federated_finetune", trained) == {"announce_champion", "start_indexing"}
    assert [post["action"] for post in listener.heard if "version" in post] == ["refused"]


def test_every_run_gives_the_same_state_when_all_its_tasks_run_again(airflow: Airflow, settings: Settings) -> None:
    (trained,) = runs_made_by(airflow, ("catalog_etl", RUN), "federated_finetune", count=1)
    promote(settings, override="the test wants a champion")
    airflow.trigger("index_catalog", "by-hand", {})
    succeeded(airflow, "index_catalog", "by-hand")
    before = state_of(settings)

    run_again(airflow, "catalog_etl", RUN)
    # Its catalogue is told of again, and what is told again is done already: training, promotion, index.
    again, _ = runs_made_by(airflow, ("catalog_etl", RUN), "federated_finetune", count=2)
    succeeded(airflow, "federated_finetune", again)
    results = [airflow.result("federated_finetune", run_id, "train") for run_id in (trained, again)]
    assert results[0] == results[1]
    (indexed,) = runs_made_by(airflow, ("federated_finetune", again), "index_catalog", count=1)
    succeeded(airflow, "index_catalog", indexed)
    assert airflow.result("index_catalog", indexed, "build")["up_to_date"]
    run_again(airflow, "index_catalog", "by-hand")
    assert state_of(settings) == before


def test_a_failure_is_where_operators_look(airflow: Airflow, settings: Settings, listener: Listener) -> None:
    airflow.trigger("catalog_etl", "no-such-source", {"source": "dir:/nowhere"})
    assert ended(airflow, "catalog_etl", "no-such-source").state == "failed"
    until = time.monotonic() + 60
    while not (kept := recent_failures(settings, within=timedelta(days=1))):
        assert time.monotonic() < until
        time.sleep(0.5)
    assert [(failure.dag_id, failure.run_id) for failure in kept] == [("catalog_etl", "no-such-source")]
    # It was posted before it was kept.
    assert [post["run_id"] for post in listener.heard if "dag_id" in post] == ["no-such-source"]


def test_a_backfill_trains_nothing(airflow: Airflow, settings: Settings) -> None:
    before = runs_of(Tracker.of(settings), FEDERATED_EXPERIMENT)
    night = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    body = {"dag_id": "federated_finetune", "from_date": night.isoformat()}
    body["to_date"] = (night + timedelta(days=1)).isoformat()
    airflow._call("POST", "/api/v2/backfills", json=body)
    until = time.monotonic() + 60
    while True:
        asked = {"run_type": "backfill"}
        runs = airflow._call("GET", "/api/v2/dags/federated_finetune/dagRuns", params=asked)["dag_runs"]
        if runs and all(run["state"] == "success" for run in runs):
            break
        assert time.monotonic() < until, runs
        time.sleep(0.5)
    assert tasks(airflow, "federated_finetune", runs[0]["dag_run_id"])["train"] == "skipped"
    assert runs_of(Tracker.of(settings), FEDERATED_EXPERIMENT) == before
    # Nor did the night that had passed when the stack was started.
    asked = {"run_type": "scheduled"}
    assert airflow._call("GET", "/api/v2/dags/federated_finetune/dagRuns", params=asked)["total_entries"] == 0


def test_housekeeping_leaves_what_is_young_and_live(airflow: Airflow, settings: Settings) -> None:
    before = state_of(settings)
    airflow.trigger("housekeeping", "by-hand", {})
    succeeded(airflow, "housekeeping", "by-hand")
    assert state_of(settings) == before
    assert airflow.result("housekeeping", "by-hand", "platform")["dag_runs"] == 0
