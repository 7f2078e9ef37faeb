"""A run whose coordinator is killed goes on where it was; `benchmarks/kills.py` kills every part, many times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from catalog.etl import client_stores, load
from catalog.store import CatalogueStore
from core.progress import NoProgress
from core.settings import ClientBucket, Settings
from embedded.stack import Stack
from embedded.sweep import tasks_of_service
from federation.config import FederationConfig
from server.checkpoints import RunFolder
from server.course import ROUND_METRIC
from server.errors import RunDiffers
from server.runs import resume_federation, run_federation, run_status
from server.stores import open_stores
from server.tracking import Tracker

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
CONFIG = FederationConfig(
    preset="tiny", rounds=2, local_epochs=5, strategy="fedadam", quorum=1.0, min_clients=3, wait_s=120.0
)
SETTINGS = {key: value for key, value in CONFIG.to_run_config().items() if value != ""}
WITHIN_S = 240.0


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    """Of a platform with a catalogue of drawn products."""
    found = stack.settings()
    buckets = json.loads(Path(found.required("clients_file")).read_text())
    clients = client_stores(ClientBucket(**bucket) for bucket in buckets)
    with CatalogueStore(found.required("postgres_dsn")) as rows:
        load("synthetic", store=open_stores(found).data, catalogue=rows, clients=clients, limit=90)
    return found


def start(stack: Stack, run: str) -> subprocess.Popen[bytes]:
    """The command as an Airflow task starts it."""
    options = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    command = [str(Path(sys.executable).parent / "tejido"), "federation", "run", "--run", run, *options]
    environment = {**os.environ, "TEJIDO_ENV_FILE": str(stack.platform_env)}
    # What it says stands in the test's own output when that fails.
    return subprocess.Popen(command, env=environment)


def kill_in_its_second_round(stack: Stack, run: str) -> None:
    """Kill the coordinator, and the command that follows it: nobody is left who could report anything."""
    command = start(stack, run)
    folder = RunFolder(open_stores(stack.settings()).checkpoints, run)
    until = time.monotonic() + WITHIN_S
    while True:
        status: dict[str, Any] = folder.status() or {}
        if status.get("stage") == "rounds" and status["done"] == 1 and status["message"].startswith("heard"):
            break
        assert time.monotonic() < until, status
        assert command.poll() is None, status
        time.sleep(0.1)
    command.kill()
    command.wait()
    killed = list(tasks_of_service(stack.state.stack_id, "coordinator"))
    assert len(killed) == 1
    killed[0].kill()


def test_killed_run_goes_on_after_its_last_complete_round_to_the_same_state(stack: Stack, settings: Settings) -> None:
    undisturbed = run_federation(settings, CONFIG, "undisturbed", NoProgress())
    kill_in_its_second_round(stack, "killed")
    result = resume_federation(settings, "killed", NoProgress())

    assert result["resumed_from"] == 1
    assert [entry["round"] for entry in result["rounds"]] == [1, 2]
    assert result["final_sha256"] == undisturbed["final_sha256"]
    assert result["chosen_sha256"] == undisturbed["chosen_sha256"]
    status = run_status(settings, "killed")
    assert (status["stage"], status["resumed_from"]) == ("completed", 1)
    # One MLflow run, with each round once.
    tracker = Tracker.of(settings)
    points = tracker._client.get_metric_history(result["mlflow"]["run_id"], ROUND_METRIC)
    assert sorted(point.step for point in points) == [1, 2]
    with pytest.raises(RunDiffers, match="seed was 0, now 1"):
        run_federation(settings, FederationConfig(**{**vars(CONFIG), "seed": 1}), "killed", NoProgress())
