"""How much memory this process and everything below it take together."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from embedded.sweep import SERVICE

MIB = 2**20
EVERY_S = 2.0


@dataclass(frozen=True)
class Memory:
    """Memory of a set of processes, in MiB."""

    rss_mb: float
    """Sum of resident sizes; a page that several processes share counts several times."""
    pss_mb: float
    """Sum of proportional sizes; a shared page counts once, so this is what the machine really gives."""

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.rss_mb + other.rss_mb, self.pss_mb + other.pss_mb)


NOTHING = Memory(0.0, 0.0)


def memory_of(process: psutil.Process) -> Memory:
    """What one process takes; where its proportional size cannot be read, the resident size stands in."""
    rss = process.memory_info().rss / MIB
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        return Memory(rss, next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024)
    return Memory(rss, rss)


def family() -> list[psutil.Process]:
    """This process and all below it."""
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def memory_by_service(processes: Iterable[psutil.Process]) -> dict[str, Memory]:
    """What each service takes now, by slug; a process that belongs to none counts as "tejido"."""
    found: dict[str, Memory] = defaultdict(lambda: NOTHING)
    for process in processes:
        # Processes end while one looks at them.
        with contextlib.suppress(psutil.Error):
            found[_service_of(process)] += memory_of(process)
    return dict(found)


class PeakMemory:
    """Samples, in a thread, what this process and all below it take, and keeps the highest sums. A context manager.

    A sample of a whole stack costs some 20 ms of processor time.
    """

    def __init__(self, *, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_stopped, name="memory", daemon=True)
        self._peak = NOTHING

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def peak_mb(self) -> float:
        """The highest sum of resident sizes so far; shared pages count several times, so it errs upwards."""
        return self._peak.rss_mb

    @property
    def peak_pss_mb(self) -> float:
        """The highest sum of proportional sizes so far; shared pages count once."""
        return self._peak.pss_mb

    def _sample_until_stopped(self) -> None:
        while True:
            total = sum(memory_by_service(family()).values(), NOTHING)
            self._peak = Memory(max(self._peak.rss_mb, total.rss_mb), max(self._peak.pss_mb, total.pss_mb))
            if self._stop.wait(self._every_s):
                return


def _service_of(process: psutil.Process) -> str:
    # PostgreSQL's title lies over its environment.
    if process.name() == "postgres":
        return "postgres"
    return process.environ().get(SERVICE, "tejido")
