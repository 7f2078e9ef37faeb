"""The lines of many clients in one panel: each in its colour while there are few, the outermost alone where not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.plots.style import COLOURS, FAINT, EndLabel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 12
OUTERMOST = 3
"""So many of the highest and as many of the lowest are named where there are more than a few clients."""


@dataclass(frozen=True)
class Line:
    """One client's values by round; a round without one is NaN."""

    rounds: Sequence[int]
    values: Sequence[float]

    @property
    def end(self) -> tuple[int, float] | None:
        """The last round that has a value, with it; None where there is none."""
        known = [(r, v) for r, v in zip(self.rounds, self.values, strict=True) if math.isfinite(v)]
        return known[-1] if known else None


def named_clients(lines: Mapping[str, Line]) -> list[str]:
    """The clients that get a colour and a label, highest last value first."""
    ends = {name: line.end[1] for name, line in lines.items() if line.end}
    order = sorted(ends, key=lambda name: (-ends[name], name))
    return order if len(lines) <= FEW else order[:OUTERMOST] + order[-OUTERMOST:]


def named_note(lines: Mapping[str, Line]) -> str:
    """Which of the lines are named, for a subtitle; nothing where all are."""
    if len(lines) <= FEW:
        return ""
    return f" · the {OUTERMOST} highest and {OUTERMOST} lowest of {len(lines)} clients named"


def draw_clients(axes: Axes, lines: Mapping[str, Line], *, form: str) -> list[EndLabel]:
    """Draw all lines, thin; returns the labels of those that are named, their values as ``form`` says."""
    named = named_clients(lines)
    for name in sorted(set(lines) - set(named)):
        _draw(axes, lines[name], colour=FAINT, style="-", order=1)
    labels = []
    # Colours go by name, so that a client has the same one in every plot of a run.
    for i, name in enumerate(sorted(named)):
        colour, (x, y) = COLOURS[i % len(COLOURS)], lines[name].end or (0, math.nan)
        _draw(axes, lines[name], colour=colour, style="-" if i < len(COLOURS) else "--", order=2)
        labels.append(EndLabel(x, y, f"{name} {y:{form}}", colour))
    return labels


def _draw(axes: Axes, line: Line, *, colour: str, style: str, order: int) -> None:
    # A point between two gaps is no line.
    has_gaps = not all(map(math.isfinite, line.values))
    axes.plot(
        line.rounds,
        line.values,
        color=colour,
        linestyle=style,
        linewidth=1.1,
        marker="o" if has_gaps or len(line.rounds) <= 10 else "",
        markersize=2 if has_gaps else 3,
        clip_on=False,
        zorder=order,
    )
