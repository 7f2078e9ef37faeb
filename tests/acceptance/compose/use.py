"""What people do with a deployment: DAG runs through Airflow's REST API, searches through the catalogue's."""

from __future__ import annotations

from typing import Any

import httpx

from tests.acceptance.compose.deployment import PORTS, wait_until

AIRFLOW, API = f"http://127.0.0.1:{PORTS['AIRFLOW_PORT']}", f"http://127.0.0.1:{PORTS['API_PORT']}"
ENDED = ("success", "failed")
PRODUCTS = 1500
CATALOGUE = {"source": "dir:/catalogue", "products": PRODUCTS, "then_train": False}
SEARCH = {"query": '{ searchByText(text: "blue shirt", first: 3) { edges { score node { id } } } }'}


def trigger(airflow: httpx.Client, dag_id: str, conf: dict[str, Any]) -> str:
    """Start a DAG run; its id."""
    answer = airflow.post(f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
    return str(answer.raise_for_status().json()["dag_run_id"])


def state_of(airflow: httpx.Client, dag_id: str, run_id: str, task_id: str = "") -> str:
    """State of a DAG run, or of one of its tasks; empty while Airflow has no answer."""
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}" + (f"/taskInstances/{task_id}" if task_id else "")
    try:
        answer = airflow.get(path)
    except httpx.TransportError:
        return ""
    return str(answer.json()["state"]) if answer.is_success else ""


def follow(airflow: httpx.Client, dag_id: str, run_id: str, *, within_s: float = 900) -> str:
    """The state in which a DAG run ends."""

    def ended() -> str:
        state = state_of(airflow, dag_id, run_id)
        return state if state in ENDED else ""

    return str(wait_until(f"{dag_id} ends", ended, within_s=within_s, every_s=3))


def is_api_ready() -> bool:
    """Whether the API says that it can search."""
    try:
        return httpx.get(f"{API}/readyz", timeout=10, trust_env=False).is_success
    except httpx.TransportError:
        return False


def search(token: str) -> list[Any]:
    """The hits of an authenticated search, from outside; an error shows what the API said."""
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx.post(f"{API}/graphql", json=SEARCH, headers=headers, timeout=60, trust_env=False)
    said = answer.raise_for_status().json()
    assert not said.get("errors"), said["errors"]
    found: list[Any] = said["data"]["searchByText"]["edges"]
    return found


def search_when_ready(token: str, *, within_s: float = 90) -> list[Any]:
    """The same; the API loads a new champion's model first, and says when it has."""
    wait_until("the API is ready", is_api_ready, within_s=within_s)
    return search(token)
