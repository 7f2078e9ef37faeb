"""What the commands that train have in common."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

RoundsOption = Annotated[int, typer.Option(min=1, help="How many rounds.")]
PresetOption = Annotated[str, typer.Option(help="Model preset: lite, or tiny for a quick try.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the first heads, the batches and the dropout.")]


def rounds_table(rounds: list[dict[str, Any]]) -> Table:
    """One line a round."""
    table = Table("round", "recall@10 (val)", "replies", "rejected", "MB up", "MB down", "seconds", title="Rounds")
    for entry in rounds:
        table.add_row(
            str(entry["round"]),
            f"{entry['recall_at_10']:.3f}",
            str(entry["replies"]),
            str(entry["rejected"]),
            f"{entry['bytes_up'] / 1e6:.1f}",
            f"{entry['bytes_down'] / 1e6:.1f}",
            f"{entry['seconds']:.1f}",
        )
    return table


def result_text(result: dict[str, Any]) -> Group:
    """A run's rounds, and what came of them."""
    recall = result["recall_at_10"]
    return Group(
        rounds_table(result["rounds"]),
        f"recall@10 on the test titles: {recall['zero_shot']:.3f} zero shot → {recall['challenger']:.3f} "
        f"({recall['queries']:,} titles, gallery of {recall['gallery']:,})",
    )
