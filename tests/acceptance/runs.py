"""What the acceptance runs share: the command as a user types it, and a look at what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

TEJIDO = Path(sys.executable).parent / "tejido"


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start `tejido` as a program of its own."""
    command = [str(TEJIDO), *(str(argument) for argument in arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def run(*arguments: object, timeout_s: float = 280) -> subprocess.CompletedProcess[str]:
    """Run `tejido` to its end."""
    process = start(*arguments)
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.terminate()
        stdout, stderr = process.communicate(timeout=60)
        pytest.fail(f"tejido {arguments[0]} did not end in {timeout_s} s:\n{stdout[-2000:]}\n{stderr[-4000:]}")
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def environment() -> dict[str, str]:
    """This environment less what belongs to another stack."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TEJIDO_")}


def processes_of(state: Path) -> list[str]:
    """Command lines of living processes that know this state folder."""
    found = []
    for process in psutil.process_iter():
        try:
            environ, command = process.environ(), process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if process.pid != os.getpid() and any(str(state) in text for text in (*environ.values(), *command)):
            found.append(" ".join(command))
    return found
