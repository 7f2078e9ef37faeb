"""A small client of Airflow's REST API: trigger a DAG, follow its run, read a result or the tail of a log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from tenacity import RetryCallState, retry, retry_if_exception_type, stop_after_delay, wait_fixed

from cli.errors import AirflowRefused, AirflowUnreachable

DEAD_S, SLOW_S = 5.0, 60.0
# One long wait and not several short ones: Airflow goes on with a request that nobody waits for any more, and one
# process answers them all, so that asking again makes a busy one later still.
TIMEOUT = httpx.Timeout(SLOW_S, connect=DEAD_S)
NOT_FOUND = 404
FINISHED = ("success", "failed")
PAGE = 100


@dataclass(frozen=True)
class DagRun:
    """One run of a DAG as Airflow sees it; ``seconds`` is its duration so far, None before it starts."""

    dag_id: str
    run_id: str
    state: str
    seconds: float | None

    @property
    def is_finished(self) -> bool:
        """Whether it will not change any more."""
        return self.state in FINISHED


def _is_enough(state: RetryCallState) -> bool:
    """Whether to give up: soon where nobody listens, later where an answer is slow, as on a busy machine."""
    error = state.outcome.exception() if state.outcome else None
    is_slow = error is not None and isinstance(error.__cause__, httpx.TimeoutException)
    return (state.seconds_since_start or 0.0) >= (SLOW_S if is_slow else DEAD_S)


class Airflow:
    """Talks to one Airflow; a token is fetched once and again when it is refused."""

    def __init__(self, url: str, *, username: str, password: str, transport: httpx.BaseTransport | None = None) -> None:
        self._credentials = {"username": username, "password": password}
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT, transport=transport)
        self._token: str | None = None

    def wait_for_dag(self, dag_id: str, *, within_s: float = 60.0) -> None:
        """Wait until the DAG processor has read ``dag_id``, and let it run.

        Raises:
            AirflowRefused: it was not read in time, or has an import error.
        """

        @retry(
            retry=retry_if_exception_type(AirflowRefused),
            stop=stop_after_delay(within_s),
            wait=wait_fixed(0.5),
            reraise=True,
        )
        def unpause() -> None:
            errors = self._call("GET", "/api/v2/importErrors")["import_errors"]
            if errors:
                raise AirflowRefused(f"A DAG file cannot be read: {errors[0]['stack_trace'][-500:]}")
            self._call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

        unpause()

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run under an id of ours; one that an attempt has started whose answer came too late is that run."""
        body = {"dag_run_id": run_id, "conf": dict(conf), "logical_date": None}
        response = self._request("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        was_repeated = self._request.statistics["attempt_number"] > 1
        if response.status_code == httpx.codes.CONFLICT and was_repeated and self.run(dag_id, run_id):
            return
        self._checked(response)

    def run(self, dag_id: str, run_id: str) -> DagRun | None:
        """The run's state now; None while it does not exist."""
        response = self._request("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        if response.status_code == NOT_FOUND:
            return None
        found = self._checked(response)
        return DagRun(dag_id, run_id, found["state"], found.get("duration"))

    def run_made_by(self, source_dag_id: str, source_run_id: str, dag_id: str) -> str | None:
        """The run of ``dag_id`` that was started by an asset which another DAG's run has made; None: none yet."""
        asked = {"source_dag_id": source_dag_id, "source_run_id": source_run_id, "order_by": "-timestamp"}
        for event in self._call("GET", "/api/v2/assets/events", params=asked)["asset_events"]:
            for run in event["created_dagruns"]:
                if run["dag_id"] == dag_id:
                    return str(run["run_id"])
        return None

    def delete_runs(self, *, before: datetime) -> int:
        """Delete all DAG runs that ended before a moment, with all that Airflow keeps of them; returns how many."""
        asked = {"end_date_lt": before.isoformat(), "state": list(FINISHED), "limit": PAGE}
        deleted = 0
        while found := self._call("GET", "/api/v2/dags/~/dagRuns", params=asked)["dag_runs"]:
            for run in found:
                path = f"/api/v2/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}"
                response = self._request("DELETE", path)
                # Somebody else may have deleted it meanwhile.
                if response.status_code != NOT_FOUND:
                    self._checked(response)
                deleted += 1
        return deleted

    def failed_task(self, dag_id: str, run_id: str) -> tuple[str, int] | None:
        """Task id and try number of the first task that failed by itself."""
        for task in self._tasks(dag_id, run_id):
            if task["state"] == "failed":
                return task["task_id"], task["try_number"]
        return None

    def skipped_tasks(self, dag_id: str, run_id: str) -> set[str]:
        """Ids of the tasks that had nothing to do."""
        return {task["task_id"] for task in self._tasks(dag_id, run_id) if task["state"] == "skipped"}

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task returned."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        value = self._call("GET", path)["value"]
        return json.loads(value) if isinstance(value, str) else value

    def log_tail(self, dag_id: str, run_id: str, task_id: str, try_number: int, *, lines: int = 20) -> str:
        """The last lines of a task's log."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self._call("GET", path, headers={"Accept": "application/json"})["content"]
        events = [entry["event"] if isinstance(entry, dict) else str(entry) for entry in content]
        return "\n".join("\n".join(events).splitlines()[-lines:])

    def _tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        found = self._call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        tasks: list[dict[str, Any]] = found["task_instances"]
        return tasks

    def _call(self, method: str, path: str, **options: Any) -> Any:
        return self._checked(self._request(method, path, **options))

    @retry(retry=retry_if_exception_type(AirflowUnreachable), stop=_is_enough, wait=wait_fixed(1), reraise=True)
    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = self._send(method, path, **options)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            # The token has run out: a pipeline may take longer than it lives.
            self._token = None
            response = self._send(method, path, **options)
        return response

    def _send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        sent = {**(headers or {}), "Authorization": f"Bearer {self._authorized()}"}
        try:
            return self._http.request(method, path, headers=sent, **options)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _authorized(self) -> str:
        if self._token is None:
            try:
                response = self._http.post("/auth/token", json=self._credentials)
            except httpx.TransportError as error:
                raise self._unreachable(error) from error
            self._token = str(self._checked(response)["access_token"])
        return self._token

    def _unreachable(self, error: httpx.TransportError) -> AirflowUnreachable:
        return AirflowUnreachable(
            f"Airflow at {self._http.base_url} does not answer: {error}.",
            hint="See logs/airflow-*.log in the state folder.",
        )

    @staticmethod
    def _checked(response: httpx.Response) -> Any:
        if response.is_error:
            raise AirflowRefused(
                f"Airflow refused {response.request.method} {response.request.url.path}: "
                f"{response.status_code} {response.text[:300]}"
            )
        return response.json() if response.content else None
