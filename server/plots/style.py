"""How every plot looks: figures of fixed margins, colours that colour-blind people tell apart, labels at the lines.

Figures are made and drawn directly, without pyplot: there is no global state, and threads may plot side by side.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, QUIET, FAINT = "#1a1a1a", "#5f5f5f", "#c9c9c9"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999933")
"""Okabe and Ito (2008) without its black, which stands for the whole, and two of Paul Tol's for its yellow."""
UP, DOWN = COLOURS[0], COLOURS[1]
DPI = 120
TITLE_PT, TEXT_PT, SMALL_PT = 13.0, 9.5, 8.5
LINE_HEIGHT = 1.3
HEAD_IN = 0.85
"""What title and subtitle take at the top."""
BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Margins:
    """What stays free around a panel, in inches from the figure's edges."""

    left: float = 0.75
    right: float = 0.4
    top: float = HEAD_IN
    bottom: float = 0.6


@dataclass(frozen=True)
class EndLabel:
    """What a line is called, written beside its last point."""

    x: float
    y: float
    text: str
    colour: str = INK
    is_bold: bool = False


def new_figure(title: str, subtitle: str, *, width_in: float = 9.0, height_in: float = 5.0) -> Figure:
    """An empty figure under its title and a quieter second line."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor="white")
    left = 0.2 / width_in
    write(figure, left, 1 - 0.2 / height_in, title, size=TITLE_PT, weight="bold", va="top")
    write(figure, left, 1 - 0.48 / height_in, subtitle, colour=QUIET, va="top")
    return figure


def new_panel(figure: Figure, margins: Margins) -> Axes:
    """Axes with quiet spines and a horizontal grid, as far from the figure's edges as said."""
    width, height = figure.get_size_inches()
    size = (width - margins.left - margins.right) / width, (height - margins.top - margins.bottom) / height
    axes = figure.add_axes((margins.left / width, margins.bottom / height, *size))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(which="both", labelsize=SMALL_PT, labelcolor=QUIET, color=FAINT)
    axes.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    return axes


def write(
    where: Figure | Axes,
    x: float,
    y: float,
    text: str,
    *,
    size: float = TEXT_PT,
    colour: str = INK,
    **how: Any,
) -> None:
    """Write a text as it is: a dollar sign in somebody's catalogue is no formula."""
    where.text(x, y, text, fontsize=size, color=colour, parse_math=False, **how)


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Say what the axes measure, with units."""
    axes.set_xlabel(x, fontsize=TEXT_PT, color=QUIET)
    axes.set_ylabel(y, fontsize=TEXT_PT, color=QUIET)


def show_rounds(axes: Axes, first: int, last: int) -> None:
    """Whole rounds along x; a single one stands in the middle."""
    alone = 0.5 if first == last else 0.0
    axes.set_xlim(first - alone, last + alone)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))


def label_ends(axes: Axes, labels: Sequence[EndLabel]) -> None:
    """Write each label right of the panel, at its line's height or as near as there is room, tied by a thin line.

    The limits of the axes must be final. Labels of lines that end nowhere (NaN) are left out.
    """
    labels = [label for label in labels if math.isfinite(label.y)]
    to_fraction = axes.transData + axes.transAxes.inverted()
    wanted = [float(to_fraction.transform((label.x, label.y))[1]) for label in labels]
    height_in = axes.get_window_extent().height / DPI
    heights = [LINE_HEIGHT * SMALL_PT / 72 / height_in * (label.text.count("\n") + 1) for label in labels]
    for label, y in zip(labels, spread(wanted, heights), strict=True):
        axes.annotate(
            label.text,
            xy=(label.x, label.y),
            xytext=(1.03, y),
            textcoords="axes fraction",
            fontsize=SMALL_PT,
            color=label.colour,
            fontweight="bold" if label.is_bold else "normal",
            verticalalignment="center",
            linespacing=LINE_HEIGHT - 0.1,
            annotation_clip=False,
            parse_math=False,
            arrowprops={
                "arrowstyle": "-",
                "color": label.colour,
                "linewidth": 0.6,
                "alpha": 0.6,
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )


def spread(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Centres as near to the wanted ones as labels of these heights can stand in [0, 1] without overlapping.

    Least squares by pooling neighbours that collide; where there is no room at all they run out at the top.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    pools: list[tuple[list[int], float]] = []
    """Labels that stand directly on each other, and where the lowest one begins."""
    for i in order:
        members, foot = [i], wanted[i] - heights[i] / 2
        while pools and pools[-1][1] + sum(heights[j] for j in pools[-1][0]) > foot:
            members = pools.pop()[0] + members
            foot = _best_foot(members, wanted, heights)
        pools.append((members, foot))
    return _stacked(pools, heights)


def _best_foot(members: Sequence[int], wanted: Sequence[float], heights: Sequence[float]) -> float:
    below, feet = 0.0, 0.0
    for i in members:
        feet += wanted[i] - heights[i] / 2 - below
        below += heights[i]
    return feet / len(members)


def _stacked(pools: Sequence[tuple[list[int], float]], heights: Sequence[float]) -> list[float]:
    """Centres of all labels, moved inside [0, 1] where they stand out."""
    feet = {}
    for members, foot in pools:
        for i in members:
            feet[i], foot = foot, foot + heights[i]
    ceiling = 1.0
    for i in reversed(feet):
        feet[i] = min(feet[i], ceiling - heights[i])
        ceiling = feet[i]
    floor = 0.0
    for i in feet:
        feet[i] = max(feet[i], floor)
        floor = feet[i] + heights[i]
    return [feet[i] + heights[i] / 2 for i in range(len(heights))]


def bytes_text(value: float, _: object = None) -> str:
    """A size as people say it: ``1.2 MB``; decimal units."""
    power = 0 if value < 1 else min(int(math.log10(value) // 3), len(BYTE_UNITS) - 1)
    scaled = value / 1000**power
    return f"{f'{scaled:.{0 if scaled >= 100 else 1}f}'.removesuffix('.0')} {BYTE_UNITS[power]}"


def plural(count: int, noun: str) -> str:
    """``1 client``, ``1,204 products``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
