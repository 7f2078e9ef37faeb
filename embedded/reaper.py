"""A small process that outlives a killed stack by seconds, to end the services that the stack can no longer end.

Its standard input is a pipe from the stack. When the stack ends in any way, ``kill -9`` included, the kernel closes
that pipe; unless the stack said before that it has cleaned up itself, the reaper sweeps.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from embedded.sweep import MARK, SERVICE, sweep

CLEAN = b"clean"


class Reaper:
    """The stack's end of the pipe."""

    def __init__(self, stack_id: str, postgres_data: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "embedded.reaper", stack_id, str(postgres_data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=Path(__file__).parents[1],
            env={**os.environ, MARK: stack_id, SERVICE: "reaper"},
        )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def dismiss(self) -> None:
        """Say that nothing is left to sweep, and wait until the reaper is gone."""
        if self._process.stdin is None or self._process.stdin.closed:
            return
        try:
            self._process.stdin.write(CLEAN)
            self._process.stdin.close()
        except BrokenPipeError:
            # The sweep that came before has ended it already.
            pass
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Wait for the stack's end, then sweep unless it was a clean one."""
    stack_id, postgres_data = sys.argv[1:3]
    if sys.stdin.buffer.read() != CLEAN:
        sweep(stack_id, Path(postgres_data))


if __name__ == "__main__":
    main()
