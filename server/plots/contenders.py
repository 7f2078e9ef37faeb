"""What a run is worth: every contender's recall, and each client's alone beside the federation's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from server.plots.style import COLOURS, INK, QUIET, SMALL_PT, Margins, name_axes, new_figure, new_panel, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEDERATED = "federated"
BETTER, WORSE, ALONE = COLOURS[0], COLOURS[1], "#8a8a8a"
HIGHLIGHTS = {FEDERATED: BETTER, "centralised": COLOURS[2], "zero shot": COLOURS[3]}
LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN = 1.5, 2.7, 1.15, 0.6
WIDTH_IN, MIN_ROWS, MANY = 10.0, 3, 40
LEGEND = (("● alone", ALONE, 0.0), ("● federated, better", BETTER, 0.75), ("● federated, worse", WORSE, 2.3))
"""Words, colour and inches from the panel's left."""


def draw_contenders(result: Mapping[str, Any]) -> Figure:
    """A dot for each contender's recall@10 on test, best first, with its paired interval against federated.

    Args:
        result: of `server.baselines.compare_baselines`.
    """
    rows = sorted(result["contenders"], key=lambda row: (-row["recall_at_10"], row["name"]))
    federated = next(row["recall_at_10"] for row in rows if row["name"] == FEDERATED)
    figure, axes = _figure("Recall@10 of every contender", f"on test, {_measured(result)}", [r["name"] for r in rows])
    axes.axvline(federated, color=BETTER, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for height, row in enumerate(rows):
        colour, (low, high) = HIGHLIGHTS.get(row["name"], ALONE), row["federated_gains"]
        axes.plot([federated - high, federated - low], [height] * 2, color=colour, linewidth=2.2, alpha=0.5)
        axes.plot([row["recall_at_10"]], [height], "o", color=colour, markersize=6)
        gain = "" if row["name"] == FEDERATED else _gain(federated - row["recall_at_10"], low, high)
        _beside(axes, height, f"{row['recall_at_10']:.3f}   {gain}", of=len(rows), is_sure=low > 0 or high < 0)
    axes.set_xlim(left=0)
    write(axes, 1.02, 1.01, "recall   federated gains", **_above(axes), colour=QUIET)
    name_axes(axes, "recall@10; bars: 95 % paired bootstrap interval of the difference from federated", "")
    return figure


def draw_gains(result: Mapping[str, Any]) -> Figure:
    """A line from each client's recall alone to the federation's, on its own held-out titles; who wins most first.

    Args:
        result: of `server.baselines.compare_baselines`; at least one client.
    """
    rows = sorted(result["clients"], key=lambda row: (row["alone"] - row["federated"], row["client"]))
    subtitle = f"recall@10 on each client's own titles of test, gallery of {result['gallery']:,} products"
    figure, axes = _figure("What the federation gives each client", subtitle, [row["client"] for row in rows])
    for height, row in enumerate(rows):
        colour, (low, high) = BETTER if row["federated"] >= row["alone"] else WORSE, row["federated_gains"]
        axes.plot([row["alone"], row["federated"]], [height] * 2, color=colour, linewidth=1.8, alpha=0.5, zorder=2)
        axes.plot([row["alone"]], [height], "o", color=ALONE, markersize=6, zorder=3)
        axes.plot([row["federated"]], [height], "o", color=colour, markersize=6, zorder=4)
        said = f"{_gain(row['federated'] - row['alone'], low, high)}   {row['queries']:,}"
        _beside(axes, height, said, of=len(rows), is_sure=low > 0 or high < 0)
    axes.set_xlim(left=0)
    for words, colour, x_in in LEGEND:
        write(axes, x_in / (WIDTH_IN - LEFT_IN - RIGHT_IN), 1.01, words, **_above(axes), colour=colour, weight="bold")
    write(axes, 1.02, 1.01, "gain [95 % interval]   titles", **_above(axes), colour=QUIET)
    name_axes(axes, "recall@10", "")
    return figure


def _figure(title: str, subtitle: str, names: Sequence[str]) -> tuple[Figure, Axes]:
    """A panel with a row for each name, the first at the top."""
    row_in = 0.32 if len(names) <= MANY else 0.18
    rows = max(MIN_ROWS, len(names))
    figure = new_figure(title, subtitle, width_in=WIDTH_IN, height_in=TOP_IN + rows * row_in + BOTTOM_IN)
    axes = new_panel(figure, Margins(LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN))
    axes.set_yticks(range(len(names)), list(names), fontsize=_size(len(names)), color=INK, parse_math=False)
    axes.set_ylim(rows - 0.5, -0.7)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _size(rows: int) -> float:
    return SMALL_PT if rows <= MANY else SMALL_PT - 1.5


def _beside(axes: Axes, height: float, text: str, *, of: int, is_sure: bool) -> None:
    """A row's figures, quieter where chance may have made them."""
    colour, across = INK if is_sure else QUIET, axes.get_yaxis_transform()
    write(axes, 1.02, height, text, size=_size(of), colour=colour, transform=across, va="center")


def _above(axes: Axes) -> dict[str, Any]:
    return {"size": SMALL_PT, "transform": axes.transAxes, "va": "bottom"}


def _gain(difference: float, low: float, high: float) -> str:
    return f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"


def _measured(result: Mapping[str, Any]) -> str:
    return f"gallery of {result['gallery']:,} products, {result['queries']:,} titles"
