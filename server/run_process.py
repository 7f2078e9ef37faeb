"""The process of one run: Flower's own way to run a ServerApp, by the programs of the bundle."""

from __future__ import annotations

from queue import Queue
from typing import Any

from flwr.supercore.logger import mirror_output_to_queue, restore_output
from flwr.superlink.runtime import run_serverapp

from federation.forking import forget_our_modules


def run_coordinator(**arguments: Any) -> None:
    """Run a ServerApp; what it says goes to the run's log at the SuperLink, too."""
    forget_our_modules()
    said: Queue[str | None] = Queue()
    mirror_output_to_queue(said)
    try:
        run_serverapp(log_queue=said, **arguments)
    finally:
        restore_output()
