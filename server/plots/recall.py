"""Recall by round: of all titles, and of each client's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from server.plots.clients import Line, draw_clients, named_note
from server.plots.style import (
    INK,
    QUIET,
    SMALL_PT,
    EndLabel,
    Margins,
    label_ends,
    name_axes,
    new_figure,
    new_panel,
    show_rounds,
    write,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADROOM = 1.08


def draw_recall(result: Mapping[str, Any]) -> Figure:
    """Recall@10 on val by round: all titles bold, each client's own thin, zero shot dashed.

    Args:
        result: of a run, as the coordinator writes it; all but ``rounds`` may be missing.
    """
    start = result.get("zero_shot_val")
    # Round 0 is what all start from.
    points = [{"round": 0, **start}, *result["rounds"]] if start else result["rounds"]
    lines = _client_lines(points)
    figure = new_figure(_title(result), _subtitle(result) + named_note(lines), width_in=9.5, height_in=5.2)
    axes = new_panel(figure, Margins(right=2.0))
    whole = Line([point["round"] for point in points], [point["recall_at_10"] for point in points])
    labels = draw_clients(axes, lines, form=".3f")
    marker = "o" if len(points) <= 40 else ""
    axes.plot(
        whole.rounds, whole.values, color=INK, linewidth=2.6, marker=marker, markersize=5, zorder=4, clip_on=False
    )
    if whole.end:
        labels.append(EndLabel(*whole.end, f"all titles {whole.end[1]:.3f}", is_bold=True))
    labels += _draw_zero_shot(axes, result, whole.rounds[-1])
    show_rounds(axes, whole.rounds[0], whole.rounds[-1])
    drawn = [
        *whole.values,
        *(value for line in lines.values() for value in line.values),
        *(label.y for label in labels),
    ]
    axes.set_ylim(0, HEADROOM * _highest(drawn))
    _mark_chosen(axes, result)
    name_axes(axes, "round", "recall@10 of the titles held out as val")
    label_ends(axes, labels)
    return figure


def _client_lines(points: Sequence[Mapping[str, Any]]) -> dict[str, Line]:
    recalls = [point.get("recall_by_client", {}) for point in points]
    numbers = [point["round"] for point in points]
    names = sorted({name for recall in recalls for name in recall})
    return {name: Line(numbers, [recall.get(name, math.nan) for recall in recalls]) for name in names}


def _draw_zero_shot(axes: Axes, result: Mapping[str, Any], last: int) -> list[EndLabel]:
    """The dashed line of the untrained model; of a run that did not keep it on val, the one on test."""
    if "zero_shot_val" in result:
        value, name = float(result["zero_shot_val"]["recall_at_10"]), "zero shot"
    elif "recall_at_10" in result:
        value, name = float(result["recall_at_10"]["zero_shot"]), "zero shot on test"
    else:
        return []
    axes.axhline(value, color=QUIET, linewidth=1.2, linestyle=(0, (4, 3)), zorder=3)
    return [EndLabel(last, value, f"{name} {value:.3f}", QUIET)]


def _highest(values: Iterable[float]) -> float:
    return max([0.01, *(value for value in values if math.isfinite(value))])


def _mark_chosen(axes: Axes, result: Mapping[str, Any]) -> None:
    """The round whose model was registered."""
    chosen = result.get("chosen_round")
    if not chosen:
        return
    axes.axvline(chosen, color=INK, linewidth=0.8, linestyle=":", zorder=1)
    across = axes.get_xaxis_transform()
    write(axes, chosen, 1.01, "chosen", size=SMALL_PT, transform=across, ha="center", va="bottom")


def _title(result: Mapping[str, Any]) -> str:
    gallery = result.get("recall_at_10", {}).get("gallery")
    return "Recall@10 by round" + (f", gallery of {gallery:,} products" if gallery else "")


def _subtitle(result: Mapping[str, Any]) -> str:
    test = result.get("recall_at_10")
    if not test:
        return str(result.get("run_id", ""))
    return (
        f"on test: {test['zero_shot']:.3f} zero shot → {test['challenger']:.3f} as chosen on val "
        f"({test['queries']:,} titles)"
    )
