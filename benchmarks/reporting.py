"""What every benchmark ends with: a table, its bars, and ``benchmarks/results/NAME.json``."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Bar:
    """A figure that must not be above its target; or not below it, where more is better."""

    name: str
    target: float
    measured: float
    is_floor: bool = False

    @property
    def holds(self) -> bool:
        """Whether it is reached; never by what is not a number."""
        return self.measured >= self.target if self.is_floor else self.measured <= self.target

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "target": self.target, "measured": self.measured, "holds": self.holds}

    def __str__(self) -> str:
        limit = "at least" if self.is_floor else "at most"
        return f"{'holds' if self.holds else 'FAILS'}: {self.name}: {self.measured:g} ({limit} {self.target:g})"


def machine() -> str:
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor}, {cores} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their longest cell; the first to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in cells)
    )


def report(name: str, question: str, *, shown: str, figures: Mapping[str, Any], bars: Sequence[Bar]) -> None:
    """Print ``shown`` and the bars, and write the result."""
    result = {
        "question": question.strip().splitlines()[0],
        "machine": machine(),
        "figures": figures,
        "bars": [bar.as_dict() for bar in bars],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(shown, *bars, sep="\n", flush=True)
