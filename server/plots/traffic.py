"""Bytes by round: up and down, and what they add up to beside plain FedAvg over the whole model."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from server.plots.style import (
    DOWN,
    INK,
    QUIET,
    SMALL_PT,
    UP,
    EndLabel,
    Margins,
    bytes_text,
    label_ends,
    name_axes,
    new_figure,
    new_panel,
    plural,
    show_rounds,
    write,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FP32_BYTES = 4
WIDTH_IN, HEIGHT_IN = 12.0, 5.0
MAX_BARS = 12


def draw_traffic(result: Mapping[str, Any]) -> Figure:
    """Bytes as sent: of each round on the left, cumulative on the right.

    Args:
        result: of a run; with ``whole_model_parameters`` the right side also shows what as many messages of the whole
            model in fp32 would take.
    """
    figure = new_figure("Bytes by round", _subtitle(result), width_in=WIDTH_IN, height_in=HEIGHT_IN)
    _draw_each(new_panel(figure, Margins(left=0.9, right=6.9, top=1.15)), result)
    _draw_total(new_panel(figure, Margins(left=6.1, right=2.1, top=1.15)), result)
    return figure


def _draw_each(axes: Axes, result: Mapping[str, Any]) -> None:
    numbers = [entry["round"] for entry in result["rounds"]]
    for offset, key, colour, style in ((-0.2, "bytes_up", UP, "-"), (0.2, "bytes_down", DOWN, "--")):
        places = [number + offset for number in numbers]
        sizes = [entry[key] for entry in result["rounds"]]
        if len(numbers) <= MAX_BARS:
            axes.bar(places, sizes, width=0.38, color=colour)
        else:
            # Both directions may be equal.
            axes.step(numbers, sizes, where="mid", color=colour, linewidth=1.6, linestyle=style)
    show_rounds(axes, numbers[0], numbers[-1])
    axes.set_xlim(numbers[0] - 0.6, numbers[-1] + 0.6)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(bytes_text)
    name_axes(axes, "round", "")
    for x, name, colour in ((0.0, "up, to the coordinator", UP), (0.5, "down, to the clients", DOWN)):
        write(axes, x, 1.03, name, size=SMALL_PT, colour=colour, transform=axes.transAxes, weight="bold")


def _draw_total(axes: Axes, result: Mapping[str, Any]) -> None:
    numbers = [entry["round"] for entry in result["rounds"]]
    up = list(accumulate(entry["bytes_up"] for entry in result["rounds"]))
    down = list(accumulate(entry["bytes_down"] for entry in result["rounds"]))
    both = [a + b for a, b in zip(up, down, strict=True)]
    lines = [("up", up, UP, 1.2), ("down", down, DOWN, 1.2), ("together", both, INK, 2.4)]
    if whole := _whole_model(result):
        lines.append(("fp32 FedAvg over\nthe whole model", whole, QUIET, 1.2))
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=8))
        axes.yaxis.set_minor_formatter(NullFormatter())
    for _, values, colour, width in lines:
        # Both directions may be equal: the upper of two lines has gaps.
        style = (0, (4, 3)) if values is whole else "--" if values is down else "-"
        marker = "o" if len(numbers) <= 10 else ""
        axes.plot(
            numbers, values, color=colour, linewidth=width, linestyle=style, marker=marker, markersize=4, clip_on=False
        )
    axes.yaxis.set_major_formatter(bytes_text)
    axes.margins(y=0.08)
    if not whole:
        axes.set_ylim(bottom=0)
    show_rounds(axes, numbers[0], numbers[-1])
    name_axes(axes, "round", "")
    write(
        axes,
        0,
        1.03,
        f"cumulative{', log scale' if whole else ''}",
        size=SMALL_PT,
        transform=axes.transAxes,
        weight="bold",
    )
    label_ends(
        axes,
        [
            EndLabel(numbers[-1], values[-1], f"{name} {bytes_text(values[-1])}", colour, is_bold=name == "together")
            for name, values, colour, _ in lines
        ],
    )


def _whole_model(result: Mapping[str, Any]) -> list[int]:
    """Cumulative bytes of as many messages of the whole model in fp32; empty where its size is not known."""
    size = FP32_BYTES * (result.get("whole_model_parameters") or 0)
    return list(accumulate(size * _messages(entry) for entry in result["rounds"])) if size else []


def _messages(entry: Mapping[str, Any]) -> int:
    """Models that travelled in a round: one to each client and attempt, and one back from those that replied."""
    came = int(entry["replies"] + entry["rejected"])
    return came + int(entry.get("asked") or came) * int(entry.get("attempts", 1))


def _subtitle(result: Mapping[str, Any]) -> str:
    total = sum(entry["bytes_up"] + entry["bytes_down"] for entry in result["rounds"])
    said = f"{bytes_text(total)} in {plural(len(result['rounds']), 'round')}, as sent"
    if "trainable_parameters" in result:
        said += f" · {result['trainable_parameters']:,} parameters travel"
    if whole := _whole_model(result):
        parameters = result["whole_model_parameters"]
        said += f" · {total / whole[-1]:.2%} of what fp32 FedAvg over all {parameters / 1e6:.1f} M would send"
    return said
