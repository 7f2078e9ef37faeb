"""Runs a `tejido` command of the platform's own environment from an Airflow task.

Airflow lives in an environment of its own (its pins and Flower's exclude each other), so a task starts the platform's
command line, copies what it says to the task's log, and returns its JSON result.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException

GRACE_S = 10
EX_TEMPFAIL = 75
"""The platform's exit status for what may succeed when it is tried again; so may a command that was killed."""


class PlatformCommandFailed(Exception):
    """The command failed, and another try may succeed."""


def run_tejido(*arguments: object, progress_key: str | None = None) -> Any:
    """Run ``tejido ARGUMENTS --format json`` and return its result; None arguments are left out.

    Raises:
        PlatformCommandFailed: it failed, and may succeed when it is tried again.
        AirflowFailException: it failed for good; Airflow does not try again.
    """
    command = [os.environ["TEJIDO_BIN"], *(str(a) for a in arguments if a is not None), "--format", "json"]
    environment = dict(os.environ)
    if progress_key:
        environment["TEJIDO_PROGRESS_KEY"] = progress_key
    print("$ tejido", *command[1:], flush=True)
    process = subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        said, output = _copy_output(process)
        status = process.wait()
    finally:
        _end(process)
    if status != 0:
        kind = PlatformCommandFailed if status == EX_TEMPFAIL or status < 0 else AirflowFailException
        raise kind(f"`tejido {' '.join(command[1:3])}` ended with exit status {status}. {_reason(said)}".rstrip())
    return json.loads(output)


def _copy_output(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Print stderr line by line as it comes; return its last line, and the last line of stdout."""
    if process.stderr is None or process.stdout is None:
        raise RuntimeError("the command was started without pipes")
    said = ""
    for line in process.stderr:
        said = line.rstrip()
        print(said, flush=True)
    lines = process.stdout.read().strip().splitlines()
    return said, lines[-1] if lines else "null"


def _reason(said: str) -> str:
    """The platform's error as people read it, where the last line of stderr holds one."""
    try:
        error = json.loads(said)["error"]
        return f"{error['message']} {error['hint']} [{error['code']}]"
    except (ValueError, KeyError, TypeError):
        return ""


def _end(process: subprocess.Popen[str]) -> None:
    """A task that is killed or times out must not leave its command behind."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def progress_key(run_id: str) -> str:
    """Where the commands of one run share their progress."""
    return f"tejido:progress:{run_id}"


def current_run() -> tuple[dict[str, Any], str]:
    """The parameters and the id of the run that the calling task belongs to."""
    context = get_current_context()
    return dict(context["params"]), str(context["run_id"])
