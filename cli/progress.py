"""Progress of a command: bars on a terminal, lines in a log, and shared with whoever follows the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from cli.output import stderr
from core.progress import Everyone, LogProgress, Progress, SharedProgress
from core.settings import Settings


class BarProgress:
    """One bar a stage; a stage of unknown length pulses."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Draw it."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, detail=detail)
        self._bars.update(self._tasks[stage], completed=done, total=total, detail=detail)


def make_bars() -> Bars:
    """Bars on stderr, so that stdout carries results only."""
    return Bars(
        TextColumn("[bold]{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[detail]}"),
        console=stderr,
    )


@contextmanager
def command_progress(settings: Settings) -> Iterator[Progress]:
    """Progress for the work inside one command."""
    shared: list[Progress] = []
    if settings.progress_key and settings.valkey_url:
        shared.append(SharedProgress(settings.required("valkey_url"), settings.progress_key))
    with terminal_progress() as drawn:
        yield Everyone(drawn, *shared)


@contextmanager
def terminal_progress() -> Iterator[Progress]:
    """Bars on a terminal, lines elsewhere."""
    if not stderr.is_terminal:
        yield LogProgress()
        return
    with make_bars() as bars:
        yield BarProgress(bars)
