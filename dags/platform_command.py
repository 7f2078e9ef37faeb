"""Runs a `tejido` command of the platform's own environment from an Airflow task.

Airflow lives in an environment of its own (its pins and Flower's exclude each other), so a task starts the platform's
command line, copies what it says to the task's log, and returns its JSON result.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from typing import Any

from airflow.sdk import Asset, get_current_context
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
    # A result may be larger than a pipe holds, and stderr is read first: a pipe for both would block for ever.
    with tempfile.TemporaryFile("w+") as result:
        process = subprocess.Popen(
            command, env=environment, text=True, stdout=result, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            said = _copy_log(process)
            status = process.wait()
        finally:
            _end(process)
        result.seek(0)
        lines = result.read().strip().splitlines()
    if status != 0:
        raise failure(" ".join(command[1:3]), status, said)
    return json.loads(lines[-1])


def failure(command: str, status: int, said: str) -> Exception:
    """What to raise for a command that failed: whether Airflow tries again is decided here.

    Args:
        command: its first words.
        status: its exit status; negative: the signal that killed it.
        said: its last line on stderr.
    """
    kind = PlatformCommandFailed if status == EX_TEMPFAIL or status < 0 else AirflowFailException
    return kind(f"`tejido {command}` ended with exit status {status}. {_reason(said)}".rstrip())


def _copy_log(process: subprocess.Popen[str]) -> str:
    """Print stderr line by line as it comes; return the last line."""
    if process.stderr is None:
        raise RuntimeError("the command was started without a pipe")
    said = ""
    for line in process.stderr:
        said = line.rstrip()
        print(said, flush=True)
    return said


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
    """The parameters and the key of what the calling task belongs to.

    The key is the DAG run's id, or, where an asset started it, the key under which that asset was made: the runs of one
    pipeline share it, and what is done twice under one key is done once. The asset's parameters win over the defaults.
    """
    context = get_current_context()
    events = [event for found in context["triggering_asset_events"].values() for event in found]
    # Several may have come before the run was made; the newest is what is live.
    told = max(events, key=lambda event: event.timestamp).extra if events else {}
    return {**context["params"], **(told.get("params") or {})}, str(told.get("run") or context["run_id"])


def announce(asset: Asset, run_id: str, params: dict[str, Any] | None = None) -> None:
    """Tell those who wait for ``asset`` under which key it was made, and what they are to do with it."""
    get_current_context()["outlet_events"][asset].extra = {"run": run_id, "params": params or {}}


def report_failure(context: Any) -> None:
    """Put a failed DAG run where operators look: `tejido failures`, `tejido doctor`, and TEJIDO_NOTIFY_URL."""
    # A run that took too long has failed without a task of its own.
    task = ["--task", context["ti"].task_id] if context.get("ti") else []
    what = ["--dag", context["dag"].dag_id, "--run", context["run_id"], "--reason", context.get("reason") or "unknown"]
    run_tejido("failures", "record", *what, *task)
