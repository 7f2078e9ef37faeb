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

GRACE_S = 10


class PlatformCommandFailed(Exception):
    """The command ended with a non-zero exit; its own error stands above in the log."""


def run_tejido(*arguments: object, progress_key: str | None = None) -> Any:
    """Run ``tejido ARGUMENTS --format json`` and return its result; None arguments are left out.

    Raises:
        PlatformCommandFailed: it ended with a non-zero exit.
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
        output = _copy_output(process)
        status = process.wait()
    finally:
        _end(process)
    if status != 0:
        raise PlatformCommandFailed(f"`tejido {' '.join(command[1:3])}` ended with exit status {status}.")
    return json.loads(output)


def _copy_output(process: subprocess.Popen[str]) -> str:
    """Print stderr line by line as it comes; return the last line of stdout."""
    if process.stderr is None or process.stdout is None:
        raise RuntimeError("the command was started without pipes")
    for line in process.stderr:
        print(line.rstrip(), flush=True)
    lines = process.stdout.read().strip().splitlines()
    return lines[-1] if lines else "null"


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
