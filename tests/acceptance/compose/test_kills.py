"""Whatever is killed while clients train, the run ends well, the database keeps its word, and search comes back."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.acceptance.compose.deployment import Deployment, unwell, wait_until
from tests.acceptance.compose.psql import sql, writing
from tests.acceptance.compose.use import follow, search, state_of, trigger

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1500)]
KILLED = ("supernode-aurora", "airflow-worker", "broker", "valkey", "superlink", "postgres")
ROUNDS = 6
BETWEEN_S = 5.0
BACK_S = 10.0
"""From the database's first answer to the first answered search."""


def test_a_run_survives_the_death_of_every_part(deployment: Deployment, airflow: httpx.Client, token: str) -> None:
    products = sql(deployment, "SELECT count(*) FROM fashion_files")
    run = trigger(airflow, "federated_finetune", {"rounds": ROUNDS, "then_index": False})
    with writing(deployment) as acknowledged:
        for service in KILLED:
            wait_until("clients train", lambda: is_training(deployment, airflow, run), within_s=240, every_s=0.5)
            time.sleep(BETWEEN_S)
            deployment.kill(service)
        wait_until("the database answers", lambda: sql(deployment, "SELECT 1"), within_s=60, every_s=0.2)
        began = time.monotonic()
        wait_until("search answers", lambda: answers(token), within_s=60, every_s=0.2)
        assert time.monotonic() - began <= BACK_S
        assert follow(airflow, "federated_finetune", run) == "success"
    assert sql(deployment, "SELECT count(*) FROM fashion_files") == products
    kept = sql(deployment, "SELECT id FROM acknowledged")
    assert kept is not None
    assert set(acknowledged) <= set(kept)
    rounds = deployment.tejido("federation", "status", run)["rounds"]
    assert [entry["round"] for entry in rounds] == list(range(1, ROUNDS + 1))
    wait_until("all healthy", lambda: not unwell(deployment.health()), within_s=120)


def is_training(deployment: Deployment, airflow: httpx.Client, run: str) -> bool:
    """Whether the run's task waits for clients that work on it; it must not have ended."""
    state = state_of(airflow, "federated_finetune", run)
    assert state not in ("success", "failed"), state
    return state_of(airflow, "federated_finetune", run, "train") == "deferred" and is_app_running(deployment)


def is_app_running(deployment: Deployment) -> bool:
    """Whether a client's part of a run is at work: a child that bears the command line of its forkserver."""
    done = deployment.execute("clientapps-boreal", "sh", "-c", "cat /proc/[0-9]*/cmdline")
    return done.stdout.count("multiprocessing.forkserver") > 1


def answers(token: str) -> bool:
    try:
        return len(search(token)) == 3
    except (httpx.HTTPError, AssertionError):
        return False
