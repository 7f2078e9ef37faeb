"""What runs the coordinator's ServerApps, each run in a process of its own that is forked from a prepared one.

Usage: python -m server.superexec, with the arguments of flower-superexec
"""

from __future__ import annotations

from flwr.supercore.constant import TaskType

from federation.forking import ForkingExecutor, serve
from server.run_process import run_coordinator

PRELOADED = ("flwr.superlink.runtime.run_serverapp", "flwr.serverapp")


def executor() -> ForkingExecutor:
    """Runs ServerApps."""
    return ForkingExecutor(TaskType.SERVER_APP, run_coordinator, PRELOADED)


if __name__ == "__main__":
    serve(executor())
