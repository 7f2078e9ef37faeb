"""Finds and ends every process of a stack, whoever its parent is by now.

Each child of a stack is started with ``TEJIDO_STACK_ID`` in its environment and hands it down to its own children.
PostgreSQL overwrites its environment with its process title, so its processes are known by the folder they run in.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

MARK = "TEJIDO_STACK_ID"
SERVICE = "TEJIDO_SERVICE"
GRACE_S = 3.0


def processes_of(stack_id: str, postgres_data: Path) -> Iterator[psutil.Process]:
    """Every living process of the stack, but not this one."""
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error):
            if _belongs(process, stack_id, postgres_data) and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def sweep(stack_id: str, postgres_data: Path, *, grace_s: float = GRACE_S) -> int:
    """End every process of the stack: asked first, killed after ``grace_s``.

    Returns:
        how many there were.
    """
    found = list(processes_of(stack_id, postgres_data))
    for process in found:
        with contextlib.suppress(psutil.Error):
            # SIGTERM makes PostgreSQL wait for its clients; SIGINT makes it roll back and end.
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
    _, alive = psutil.wait_procs(found, timeout=grace_s)
    # A child may have been started while its parent was being asked, so look again.
    for process in {*alive, *processes_of(stack_id, postgres_data)}:
        with contextlib.suppress(psutil.Error):
            process.kill()
            process.wait(timeout=grace_s)
    return len(found)


def kill_service(stack_id: str, service: str) -> None:
    """Kill every process of one service of a stack, also those whose parent is gone."""
    for process in processes_of_service(stack_id, service):
        with contextlib.suppress(psutil.Error):
            process.kill()
            process.wait(timeout=GRACE_S)


def tasks_of_service(stack_id: str, service: str) -> Iterator[psutil.Process]:
    """Of a service that runs each task in a process of its own (federation.forking): those processes alone."""
    for process in processes_of_service(stack_id, service):
        with contextlib.suppress(psutil.Error):
            parent = process.parent()
            if parent and "multiprocessing.forkserver" in " ".join(parent.cmdline()):
                yield process


def processes_of_service(stack_id: str, service: str) -> Iterator[psutil.Process]:
    """Every living process of one service of a stack; PostgreSQL's hide theirs."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = process.environ()
            if environment.get(MARK) == stack_id and environment.get(SERVICE) == service:
                yield process


def _belongs(process: psutil.Process, stack_id: str, postgres_data: Path) -> bool:
    with contextlib.suppress(psutil.AccessDenied):
        if process.environ().get(MARK) == stack_id:
            return True
    return process.name() == "postgres" and process.cwd() == str(postgres_data)
