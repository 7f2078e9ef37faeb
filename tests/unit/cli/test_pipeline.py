from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import httpx
import pytest
from valkey import Valkey

from cli.airflow import Airflow
from cli.demo.pipeline import INDEXING, PIPELINE, Follower
from cli.errors import NothingPromoted, TaskFailed
from core.progress import NoProgress
from embedded.errors import EmbeddedError

NOBODY = "valkey://127.0.0.1:1"
LOG = {"content": [{"event": "the bucket is gone"}]}


class PlayedAirflow:
    """Airflow's REST API, played at the transport: each DAG ends in the state that it is given.

    Each run starts the next by an asset; without a promotion the last one is started by its id.
    """

    def __init__(self, states: dict[str, str], *, promotes: bool = True, skipped: Iterable[str] = ()) -> None:
        self.states = states
        self.skipped = skipped
        self.promotes = promotes
        self.triggered: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        parts = request.url.path.strip("/").split("/")
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        if parts[-1] == "importErrors":
            return httpx.Response(200, json={"import_errors": []})
        if parts[2] == "assets":
            return httpx.Response(200, json={"asset_events": self._events(**request.url.params)})
        dag_id = parts[3]
        if request.method == "POST":
            self.triggered.append(dag_id)
        answers: dict[str, Any] = {
            "taskInstances": {"task_instances": self._tasks(dag_id)},
            "1": LOG,
            "return_value": {"value": {"reason": "the gain is within chance"}},
        }
        return httpx.Response(200, json=answers.get(parts[-1], {"state": self.states.get(dag_id), "duration": 1.0}))

    def _events(self, source_dag_id: str, source_run_id: str, order_by: str) -> list[dict[str, object]]:
        assert order_by == "-timestamp"
        if source_dag_id == "federated_finetune" and not self.promotes:
            return []
        following = PIPELINE[PIPELINE.index(source_dag_id) + 1]
        other = {"dag_id": "somebody_elses", "run_id": "x"}
        return [{"created_dagruns": [other, {"dag_id": following, "run_id": f"by {source_run_id}"}]}]

    def _tasks(self, dag_id: str) -> list[dict[str, object]]:
        failed = self.states.get(dag_id) == "failed"
        states = {"train": "failed" if failed else "success", **dict.fromkeys(self.skipped, "skipped")}
        return [{"task_id": task, "state": state, "try_number": 1} for task, state in states.items()]


def follower(played: PlayedAirflow, check: Callable[[], None] = lambda: None) -> Follower:
    """Follows the played Airflow; the shared progress is out of reach, which must not matter."""
    airflow = Airflow("http://airflow", username="u", password="p", transport=httpx.MockTransport(played))
    return Follower(airflow, Valkey.from_url(NOBODY), NoProgress(), check)


def test_only_the_first_dag_is_triggered_and_all_three_are_followed() -> None:
    played = PlayedAirflow(dict.fromkeys(PIPELINE, "success"))
    runs = follower(played).run_pipeline("run-1", {})
    assert played.triggered == ["catalog_etl"]
    assert [(run.dag_id, run.state) for run in runs] == [(dag_id, "success") for dag_id in PIPELINE]
    assert [run.run_id for run in runs] == ["run-1", "by run-1", "by by run-1"]


def test_without_a_new_champion_the_run_for_the_catalogue_is_followed() -> None:
    played = PlayedAirflow(dict.fromkeys(PIPELINE, "success"), promotes=False)
    runs = follower(played).run_pipeline("run-1", {})
    assert runs[-1].run_id == "after_by run-1"


def test_a_demo_without_a_champion_says_why_instead_of_waiting_for_an_index() -> None:
    played = PlayedAirflow(dict.fromkeys(PIPELINE, "success"), promotes=False, skipped=INDEXING)
    with pytest.raises(NothingPromoted, match="gain is within chance"):
        follower(played).run_pipeline("run-1", {})


def test_a_failed_task_ends_the_demo_with_its_name_and_the_tail_of_its_log() -> None:
    played = PlayedAirflow({"catalog_etl": "success", "federated_finetune": "failed"})
    with pytest.raises(TaskFailed, match=r"federated_finetune\.train failed \(try 1\)(?s:.*)the bucket is gone"):
        follower(played).run_pipeline("run-1", {})


def test_a_dead_service_ends_the_demo_instead_of_a_wait_for_ever() -> None:
    def dead() -> None:
        raise EmbeddedError("MLflow was killed by SIGKILL.")

    played = PlayedAirflow(dict.fromkeys(PIPELINE, "running"))
    with pytest.raises(EmbeddedError, match="MLflow was killed"):
        follower(played, dead).run_pipeline("run-1", {})
