"""Plots of runs, baselines and partitions: pure functions from plain data to a Figure, which `png` makes a file of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from server.plots.contenders import draw_contenders, draw_gains
from server.plots.norms import draw_norms, rejected_rounds
from server.plots.partition import draw_partition
from server.plots.recall import draw_recall
from server.plots.style import png
from server.plots.traffic import draw_traffic

if TYPE_CHECKING:
    # Not by name at run time: the census reads partitions, which no part of the federation receives.
    from catalog.census import Census

__all__ = ["FOLDER", "PARTITION", "baseline_plots", "partition_plot", "run_plots"]
FOLDER, PARTITION = "plots", "partition.png"
"""Where an MLflow run keeps plots, and what that of its partition is called."""


def run_plots(result: Mapping[str, Any]) -> dict[str, bytes]:
    """PNG files of a run's result by name; what an older run's result does not hold is left out."""
    rounds = result.get("rounds", [])
    plots: dict[str, Figure] = {}
    if rounds:
        plots |= {"recall.png": draw_recall(result), "bytes.png": draw_traffic(result)}
    if any(entry.get("norms") for entry in rounds) or rejected_rounds(rounds):
        plots["norms.png"] = draw_norms(result)
    return {name: png(figure) for name, figure in plots.items()}


def baseline_plots(result: Mapping[str, Any]) -> dict[str, bytes]:
    """PNG files of what `server.baselines.compare_baselines` gave, by name."""
    plots = {"contenders.png": draw_contenders(result)}
    if result["clients"]:
        plots["gains.png"] = draw_gains(result)
    return {name: png(figure) for name, figure in plots.items()}


def partition_plot(census: Census) -> bytes:
    """The PNG file of a partition; see `draw_partition`."""
    return png(draw_partition(census.clients, by=census.by, partition=census.partition, seed=census.seed))
