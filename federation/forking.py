"""Flower's SuperExec with processes that start in a tenth of the time, and whose tokens nobody reads.

Each task runs in a process of its own, as with Flower's own executor. There, each spends about three seconds of CPU
time importing Flower and PyTorch; here it is forked from one that has imported them once, which itself never sees a
task. A task's token, which opens all that the SuperLink or the SuperNode has for it, goes through a pipe instead of a
command line that everyone on the machine can read.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from typing import Any

from flwr.supercore.cli.flower_superexec import flower_superexec
from flwr.supercore.constant import TaskType
from flwr.supercore.superexec import run_superexec
from flwr.supercore.superexec.executor import ExecutionSpec, LaunchResult, SubprocessExecutor
from flwr.supercore.tls import validate_and_resolve_root_certificates

OURS = ("core", "catalog", "security", "federation", "clients", "server")
PRELOADED = (
    *("torch", "torch._dynamo", "boto3", "safetensors", "pydantic_settings", "structlog"),
    *("cryptography.hazmat.primitives.serialization", "flwr.supercore.cli.flower_superexec"),
)
"""Everything slow that any task needs. None of ours: that comes in the coordinator's bundle, which may be newer."""


class ForkingExecutor(SubprocessExecutor):
    """Runs each task in a process that is forked from a prepared one, and tasks of one kind alone.

    Args:
        task: the kind.
        run: what the process does, given what Flower tells of the task: an importable function that first calls
            `forget_our_modules`, or what leads to that.
        preloaded: modules that it needs besides PRELOADED.
    """

    def __init__(self, task: TaskType, run: Callable[..., None], preloaded: Sequence[str] = ()) -> None:
        self._task, self._run = task, run
        self.context = multiprocessing.get_context("forkserver")
        # Imported with the first task: until then, whoever waits needs no memory for it.
        self.context.set_forkserver_preload([*preloaded, *PRELOADED])

    def get_eligible_capacity(self, supported_task_types: set[TaskType], **_: Any) -> tuple[set[TaskType], set[str]]:
        """Tasks of this kind, as many as come."""
        return supported_task_types & {self._task}, set()

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
        self.context.Process(target=self._run, kwargs=arguments, daemon=True).start()
        return LaunchResult.accepted()


def serve(executor: ForkingExecutor) -> None:
    """Flower's own program, by this process's arguments, with our executor in the place of its own."""
    forget_main_module()
    # There is no argument for an executor of one's own.
    vars(run_superexec)["get_executor"] = lambda *_, **__: executor
    flower_superexec()


def forget_main_module() -> None:
    """Keep children from importing the program's own module, and with it our modules instead of the bundle's."""
    program = vars(sys.modules["__main__"])
    program["__spec__"] = None
    program.pop("__file__", None)


def forget_our_modules() -> None:
    """The bundle brings its own, which may be newer: what is imported from now on is that."""
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]
