"""What runs a client's ClientApps: Flower's SuperExec, with processes that start in a tenth of the time.

Each message runs in a process of its own, as with Flower's own executor. There, each spends about three seconds of CPU
time importing Flower and PyTorch; here it is forked from one that has imported them once, which itself never sees a
message. It runs apart from the SuperNode: the coordinator's code never sees the node's private key, only this client's
bucket. A task's token goes through a pipe instead of a command line that everyone on the machine can read.

Usage: python -m clients.superexec, with the arguments of flower-superexec
"""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

from flwr.supercore.cli.flower_superexec import flower_superexec
from flwr.supercore.constant import TaskType
from flwr.supercore.superexec import run_superexec
from flwr.supercore.superexec.executor import ExecutionSpec, LaunchResult, SubprocessExecutor
from flwr.supercore.tls import validate_and_resolve_root_certificates

from clients.guard import run_guarded

PRELOADED = (
    *("flwr.supernode.runtime.run_clientapp", "flwr.clientapp", "torch", "torch._dynamo", "boto3", "safetensors"),
    *("pydantic_settings", "structlog", "cryptography.hazmat.primitives.serialization"),
)
"""Everything slow that a message needs. None of ours: that comes in the coordinator's bundle, which may be newer."""


class ForkingExecutor(SubprocessExecutor):
    """Runs each ClientApp in a process that is forked from a prepared one, and nothing but ClientApps."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        # Imported with the first message: until then, a client that waits needs no memory for it.
        self.context.set_forkserver_preload(list(PRELOADED))

    def get_eligible_capacity(self, supported_task_types: set[TaskType], **_: Any) -> tuple[set[TaskType], set[str]]:
        """ClientApps, as many as come."""
        return supported_task_types & {TaskType.CLIENT_APP}, set()

    def launch(self, spec: ExecutionSpec) -> LaunchResult:
        """Start the process; it ends with this one."""
        certificates = validate_and_resolve_root_certificates(spec.root_certificates_path, spec.insecure)
        arguments = {
            "runtime_api_address": spec.runtime_api_address,
            "token": spec.token,
            "insecure": spec.insecure,
            "certificates": certificates,
            "parent_pid": spec.parent_pid,
            "runtime_dependency_install": spec.runtime_dependency_install,
        }
        self.context.Process(target=run_guarded, kwargs=arguments, daemon=True).start()
        return LaunchResult.accepted()


def forget_main_module() -> None:
    """Keep children from importing the program's own module, and with it our `clients` instead of the bundle's."""
    program = vars(sys.modules["__main__"])
    program["__spec__"] = None
    program.pop("__file__", None)


def main() -> None:
    """Flower's own program, with our executor in the place of its own."""
    forget_main_module()
    # There is no argument for an executor of one's own.
    vars(run_superexec)["get_executor"] = lambda *_, **__: ForkingExecutor()
    flower_superexec()


if __name__ == "__main__":
    main()
