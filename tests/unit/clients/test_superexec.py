"""The executor that forks ClientApps from a prepared process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from flwr.supercore.constant import TaskType

from clients.superexec import executor as for_clients
from server.superexec import executor as for_the_coordinator

LOOK = "import sys; sys.exit(sorted(name for name in sys.modules if name.split('.')[0] == 'clients') != {expected})"
PROGRAM = """\
import sys
import clients.superexec as ours
from federation.forking import forget_main_module

if __name__ == "__main__":
    {forget}
    executor = ours.executor()
    executor.context.set_forkserver_preload([])
    child = executor.context.Process(target=exec, args=({look!r},))
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


def test_each_takes_its_own_kind_only() -> None:
    both = {TaskType.CLIENT_APP, TaskType.SERVER_APP}
    assert for_clients().get_eligible_capacity(both) == ({TaskType.CLIENT_APP}, set())
    assert for_the_coordinator().get_eligible_capacity(both) == ({TaskType.SERVER_APP}, set())


@pytest.mark.parametrize(
    ("forget", "expected"),
    [
        ("forget_main_module()", []),
        (
            "pass",
            [
                "clients",
                "clients.contracts",
                "clients.errors",
                "clients.guard",
                "clients.own_key",
                "clients.peers",
                "clients.receipts",
                "clients.superexec",
            ],
        ),
    ],
    ids=["as started", "the trap itself"],
)
def test_a_child_has_none_of_our_modules_so_that_the_bundles_are_loaded(
    forget: str, expected: list[str], tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(forget=forget, look=LOOK.format(expected=expected)))
    subprocess.run([sys.executable, str(program)], check=True, timeout=60)
