"""The DAGs as Airflow reads them, without an Airflow that runs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from embedded.airflow import airflow_environment
from embedded.errors import AirflowMissing
from embedded.service import REPOSITORY

COMMAND = """#!/bin/sh
echo $$ > "$PID_FILE"
echo "$@" > "$PID_FILE.arguments"
echo '{}'
echo "first words" >&2
echo "$SAID" >&2
[ -z "$SLEEP" ] || exec sleep "$SLEEP"
exit "$STATUS"
"""


def look(folder: Path, **settings: str) -> dict[str, Any]:
    """What look.py finds in Airflow's environment."""
    try:
        interpreter = airflow_environment() / "bin" / "python"
    except AirflowMissing:
        pytest.skip("Airflow's environment is not set up: make setup")
    command = folder / "tejido"
    command.write_text(COMMAND)
    command.chmod(0o755)
    dags = REPOSITORY / "dags"
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "PYTHONPATH": f"{dags}{os.pathsep}{dags / 'plugins'}",
        "TEJIDO_BIN": str(command),
        "PID_FILE": str(folder / "pid"),
        **settings,
    }
    script = Path(__file__).with_name("look.py")
    done = subprocess.run([interpreter, script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return look(tmp_path_factory.mktemp("airflow"))


def test_no_dag_catches_up_runs_twice_at_once_or_fails_unheard(found: dict[str, Any]) -> None:
    for dag in found["dags"].values():
        assert (dag["catchup"], dag["max_active_runs"], dag["callback"]) == (False, 1, "report_failure")


def test_assets_start_the_next_dag_and_only_where_something_was_made(found: dict[str, Any]) -> None:
    outlets = {
        (name, task): drawn["outlets"]
        for name, dag in found["dags"].items()
        for task, drawn in dag["tasks"].items()
        if drawn["outlets"]
    }
    assert outlets == {
        ("catalog_etl", "publish"): ["catalogue"],
        ("federated_finetune", "announce_champion"): ["champion"],
    }
    schedules = {name: dag["schedule"] for name, dag in found["dags"].items()}
    assert schedules == {
        "catalog_etl": "NullTimetable",
        "federated_finetune": "AssetOrTimeSchedule",
        "index_catalog": "AssetTriggeredTimetable",
        "housekeeping": "CronTriggerTimetable",
        "client_wave": "CronTriggerTimetable",
    }


def test_each_client_is_filled_by_a_task_of_its_own_before_any_is_handed_over(found: dict[str, Any]) -> None:
    tasks = found["dags"]["catalog_etl"]["tasks"]
    assert [name for name, task in tasks.items() if task["is_mapped"]] == ["fill"]
    assert (tasks["assign"]["next"], tasks["fill"]["next"], tasks["hand_over"]["next"]) == (
        ["fill"],
        ["hand_over"],
        ["publish"],
    )


def test_training_is_tried_again_often_enough_to_outlive_a_restart(found: dict[str, Any]) -> None:
    assert found["dags"]["federated_finetune"]["tasks"]["train"]["retries"] == 3


def test_without_a_time_nothing_runs_by_the_clock(tmp_path: Path) -> None:
    quiet = look(tmp_path, TEJIDO_FINETUNE_SCHEDULE="", TEJIDO_HOUSEKEEPING_SCHEDULE="", TEJIDO_WAVE_SCHEDULE="")
    assert quiet["dags"]["federated_finetune"]["schedule"] == "AssetTriggeredTimetable"
    assert quiet["dags"]["housekeeping"]["schedule"] == quiet["dags"]["client_wave"]["schedule"] == "NullTimetable"


def test_the_trigger_tells_how_the_wait_ended_and_ends_its_command_with_itself(found: dict[str, Any]) -> None:
    assert found["events"] == [{"status": 75, "said": "last words"}]
    assert found["is_ended_by_cancelling"]


def test_only_what_may_pass_is_tried_again(found: dict[str, Any]) -> None:
    kinds = {status: text.partition(":")[0] for status, text in found["raised"].items()}
    assert kinds == {"1": "AirflowFailException", "75": "PlatformCommandFailed", "-9": "PlatformCommandFailed"}
    assert "M H [c]" in found["raised"]["1"]


def test_a_failure_is_reported_with_its_task_or_without_where_none_failed(found: dict[str, Any]) -> None:
    report = "failures record --dag d --run r --reason timed_out"
    assert [" ".join(words) for words in found["reported"]] == [
        f"{report} --task train --format json",
        f"{report} --format json",
    ]
