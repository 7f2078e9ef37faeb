"""One child process: started apart from the terminal, marked as the stack's own, its output in a log file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded.sweep import MARK, SERVICE

TAIL_LINES = 15
LOOK_S = 0.2
# Variables that belong to one service and would change another, or would tell one client about another.
FOREIGN = ("TEJIDO_", "AIRFLOW", "MLFLOW_", "FLWR_", "FLOWER_", "AWS_", "NANIO_", "PG", "PYTHON", "VIRTUAL_ENV")
KEPT = ("TEJIDO_AIRFLOW_HOME_VENV", "TEJIDO_SEARCHES_PER_MINUTE", "PYTHONUTF8")


@dataclass(frozen=True)
class Command:
    """What to run. Secrets go into ``environment`` or files: a command line is public to the whole machine."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: str | None = None
    """Operating system user, when the stack itself runs as root and the program refuses that."""


def clean_environment(stack_id: str, service: str) -> dict[str, str]:
    """This process's environment without what belongs to single services, marked as the stack's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN) or k in KEPT}
    folder = str(Path(sys.executable).parent)
    return {
        **kept,
        MARK: stack_id,
        SERVICE: service,
        # Flower starts its own programs by name.
        "PATH": f"{folder}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        # Process titles would overwrite the environment that marks a process as ours.
        "SPT_NOENV": "1",
        # A proxy of the machine must not stand between the services.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def last_lines(log: Path, count: int = TAIL_LINES) -> list[str]:
    """The last lines of a log that say something."""
    if not log.exists():
        return []
    with log.open(encoding="utf-8", errors="replace") as stream:
        return list(deque((line.rstrip() for line in stream if line.strip()), maxlen=count))


class Child:
    """A running service process and the log it writes."""

    def __init__(self, command: Command, *, stack_id: str, service: str, log: Path) -> None:
        self.log = log
        with log.open("ab") as stream:
            options = _options(command, stack_id, service)
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                command.arguments, stdin=subprocess.DEVNULL, stdout=stream, **options
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def how_it_ended(self) -> str | None:
        """None while it runs; else "ended with exit status 3" or "was killed by SIGKILL"."""
        return describe_end(self._process.poll())

    def ask_to_end(self, how: signal.Signals) -> None:
        """Send the signal that makes it end in good order."""
        if self._process.poll() is None:
            self._process.send_signal(how)

    def end(self, *, within_s: float) -> None:
        """Wait until it has ended; kill it and what it started if it takes too long."""
        try:
            self._process.wait(timeout=max(within_s, 0.0))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def describe_end(status: int | None) -> str | None:
    """A process's return code in words; None for a process that runs."""
    if status is None:
        return None
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"


def run_to_end(
    command: Command,
    *,
    stack_id: str,
    service: str,
    log: Path,
    stdin: str = "",
    within_s: float,
    cancel: threading.Event,
) -> str | None:
    """Run a short program, its output appended to ``log``.

    Args:
        command: what to run.
        stack_id: marks the process as the stack's.
        service: marks the process as that service's.
        log: where its output goes.
        stdin: what it is given to read; small.
        within_s: how long it may take.
        cancel: when set, the program is killed.

    Returns:
        None if it succeeded, else how it failed, in words.
    """
    with log.open("ab") as stream:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command.arguments, stdin=subprocess.PIPE, stdout=stream, **_options(command, stack_id, service)
        )
    until = time.monotonic() + within_s
    given: bytes | None = stdin.encode()
    while True:
        try:
            process.communicate(given, timeout=LOOK_S)
            return describe_end(process.returncode) if process.returncode else None
        except subprocess.TimeoutExpired:
            given = None
        if cancel.is_set() or time.monotonic() > until:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "was given up" if cancel.is_set() else f"did not end within {within_s:.0f} s"


def _options(command: Command, stack_id: str, service: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "stderr": subprocess.STDOUT,
        # A session of its own: Ctrl-C reaches the stack alone, which ends the services in the right order.
        "start_new_session": True,
        "cwd": command.cwd,
        "env": {**clean_environment(stack_id, service), **command.environment},
    }
    if command.user is not None:
        options |= {"user": command.user, "group": command.user, "extra_groups": []}
    return options
