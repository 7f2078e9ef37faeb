"""What runs a client's ClientApps, each message in a process of its own that is forked from a prepared one.

It runs apart from the SuperNode: the coordinator's code never sees the node's private key, only this client's bucket.

Usage: python -m clients.superexec, with the arguments of flower-superexec
"""

from __future__ import annotations

from flwr.supercore.constant import TaskType

from clients.guard import run_guarded
from federation.forking import ForkingExecutor, serve

PRELOADED = ("flwr.supernode.runtime.run_clientapp", "flwr.clientapp")


def executor() -> ForkingExecutor:
    """Runs ClientApps, behind the client's guard."""
    return ForkingExecutor(TaskType.CLIENT_APP, run_guarded, PRELOADED)


if __name__ == "__main__":
    serve(executor())
