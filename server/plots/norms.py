"""Norms of the updates by round and client, and whose were rejected when."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from server.plots.clients import Line, draw_clients, named_note
from server.plots.style import (
    COLOURS,
    QUIET,
    SMALL_PT,
    TEXT_PT,
    Margins,
    label_ends,
    name_axes,
    new_figure,
    new_panel,
    plural,
    show_rounds,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REJECTED = COLOURS[1]
REASON = re.compile(r"(?:attempt \d+: )?(?P<client>[^:]+): ")
"""How an entry of ``rejections`` begins."""
MAX_ROWS = 12
"""So many rejected clients have a row of their own."""
ROW_IN, PANEL_IN = 0.22, 3.6
LEFT_IN, RIGHT_IN = 1.3, 1.9
MIN_RATIO = 5.0


def draw_norms(result: Mapping[str, Any]) -> Figure:
    """L2 norms of the updates that counted (log scale), one line a client; below, × where an update was rejected.

    Args:
        result: of a run; rounds without ``norms`` have no points.
    """
    lines, rows = _norm_lines(result["rounds"]), _rejected_rows(rejected_rounds(result["rounds"]))
    strip_in = (len(rows) * ROW_IN + 0.55) if rows else 0.0
    rejected = sum(entry.get("rejected", 0) for entry in result["rounds"])
    subtitle = f"updates that counted, log scale · {plural(rejected, 'update')} rejected{named_note(lines)}"
    height = PANEL_IN + strip_in + 1.45
    figure = new_figure("Norm of the updates by round and client", subtitle, width_in=9.5, height_in=height)
    axes = new_panel(figure, Margins(left=LEFT_IN, right=RIGHT_IN, bottom=0.6 + strip_in))
    numbers = [entry["round"] for entry in result["rounds"]]
    labels = draw_clients(axes, lines, form=".3g")
    _scale(axes, [value for line in lines.values() for value in line.values if math.isfinite(value)])
    show_rounds(axes, numbers[0], numbers[-1])
    name_axes(axes, "" if rows else "round", "L2 norm")
    label_ends(axes, labels)
    if rows:
        axes.tick_params(labelbottom=False)
        strip = new_panel(figure, Margins(left=LEFT_IN, right=RIGHT_IN, top=height - strip_in - 0.25, bottom=0.6))
        _draw_rejected(strip, rows, numbers)
    return figure


def rejected_rounds(rounds: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Client → the rounds in which an update of it was rejected."""
    found: dict[str, list[int]] = {}
    for entry in rounds:
        matches = [REASON.match(reason) for reason in entry.get("rejections", ())]
        for client in sorted({match["client"] for match in matches if match}):
            found.setdefault(client, []).append(entry["round"])
    return found


def _norm_lines(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Line]:
    numbers = [entry["round"] for entry in rounds]
    names = sorted({name for entry in rounds for name in entry.get("norms", {})})
    return {
        name: Line(numbers, [_loggable(entry.get("norms", {}).get(name, math.nan)) for entry in rounds])
        for name in names
    }


def _loggable(norm: float) -> float:
    return norm if math.isfinite(norm) and norm > 0 else math.nan


def _scale(axes: Axes, norms: Sequence[float]) -> None:
    """A log scale with plain numbers, wide enough to show two of them however near the norms are."""
    low, high = min(norms, default=1.0) / 1.2, max(norms, default=1.0) * 1.2
    widen = max(1.0, math.sqrt(MIN_RATIO * low / high))
    axes.set_yscale("log")
    axes.set_ylim(low / widen, high * widen)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _rejected_rows(rejected: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """The clients that were rejected most often, each by itself, and the others in one row."""
    order = sorted(rejected, key=lambda name: (-len(rejected[name]), name))
    if len(order) <= MAX_ROWS:
        return {name: rejected[name] for name in order}
    others = order[MAX_ROWS - 1 :]
    rows = {name: rejected[name] for name in order[: MAX_ROWS - 1]}
    return rows | {f"{len(others)} others": sorted({number for name in others for number in rejected[name]})}


def _draw_rejected(axes: Axes, rows: Mapping[str, list[int]], numbers: Sequence[int]) -> None:
    for height, rounds in enumerate(rows.values()):
        axes.plot(rounds, [height] * len(rounds), "x", color=REJECTED, markersize=6, markeredgewidth=1.8, clip_on=False)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=SMALL_PT, color=QUIET, parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, pad=8)
    show_rounds(axes, numbers[0], numbers[-1])
    axes.set_title("× rejected", fontsize=TEXT_PT, color=REJECTED, loc="left", fontweight="bold", pad=3)
    name_axes(axes, "round", "")
