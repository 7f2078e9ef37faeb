"""Airflow's processes, in an environment of their own. The last test kills one: this file comes after the DAGs'."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import psutil
import pytest

from core.settings import Settings
from embedded.airflow import airflow_environment
from embedded.errors import ServiceCrashed
from embedded.service import REPOSITORY
from embedded.stack import Stack

pytestmark = pytest.mark.integration


def log_in(settings: Settings, password: str) -> httpx.Response:
    credentials = {"username": settings.airflow_username, "password": password}
    return httpx.post(f"{settings.airflow_url}/auth/token", json=credentials, timeout=30, trust_env=False)


def test_every_dag_file_is_read_without_an_error(airflow_stack: Stack) -> None:
    settings = airflow_stack.settings()
    token = log_in(settings, Path(settings.required("airflow_password_file")).read_text()).json()["access_token"]
    expected = {path.stem for path in (REPOSITORY / "dags").glob("*.py") if "@dag(" in path.read_text()}
    base = settings.required("airflow_url")
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False, base_url=base) as http:
        until = time.monotonic() + 60
        while {dag["dag_id"] for dag in http.get("/api/v2/dags").json()["dags"]} != expected:
            assert time.monotonic() < until, http.get("/api/v2/importErrors").json()
            time.sleep(1)
        assert http.get("/api/v2/importErrors").json()["total_entries"] == 0


def test_a_wrong_password_is_refused(airflow_stack: Stack) -> None:
    assert log_in(airflow_stack.settings(), "wrong").status_code == 401


def test_tasks_are_told_where_the_platform_is(airflow_stack: Stack) -> None:
    environment = psutil.Process(airflow_stack.pids["airflow-scheduler"]).environ()
    assert os.access(environment["TEJIDO_BIN"], os.X_OK)
    assert environment["TEJIDO_ENV_FILE"] == str(airflow_stack.platform_env)
    assert "PYTHONPATH" not in environment


def test_a_killed_scheduler_is_reported_with_the_end_of_its_log(airflow_stack: Stack) -> None:
    os.kill(airflow_stack.pids["airflow-scheduler"], signal.SIGKILL)
    time.sleep(1)
    with pytest.raises(ServiceCrashed, match="Airflow scheduler was killed by SIGKILL") as crash:
        airflow_stack.check()
    assert crash.value.log_lines


def test_a_task_takes_a_result_larger_than_a_pipe_holds(tmp_path: Path) -> None:
    command = tmp_path / "tejido"
    command.write_text('#!/bin/sh\necho working >&2\nprintf \'{"text": "%01000000d"}\' 0\n')
    command.chmod(0o755)
    script = "from platform_command import run_tejido; print(len(run_tejido('a')['text']))"
    environment = {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY / "dags"), "TEJIDO_BIN": str(command)}
    interpreter = airflow_environment() / "bin" / "python"
    done = subprocess.run(
        [interpreter, "-c", script], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-2:] == ["working", "1000000"], done.stderr
