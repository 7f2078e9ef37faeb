"""`tejido client wave`: ask every client that is online for what it publishes, and bring it into the live index."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.waves import run_waves


def wave(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Ask the clients, each for its own products; who was away before moves to the live index version."""
    settings = platform_settings(state)
    with command_progress(settings) as progress:
        found = run_waves(settings, progress)
    emit(found, how, _table)


def _table(found: dict[str, Any]) -> Group | str:
    if found["version"] is None:
        return "No index version is live, so nobody was asked: `tejido index build`."
    covered = {entry["owner"]: entry for entry in found["coverage"]}
    table = Table("client", "state", "publishes", "written", "shown already", "removed", "in the index")
    for name, heard in found["clients"].items():
        numbers = [heard[key] for key in ("published", "written", "shown_already", "removed")]
        there = covered.get(name, {"covered": 0})["covered"]
        table.add_row(name, heard["state"], *(f"{number:,}" for number in [*numbers, there]))
    table.title = f"Index version {found['version']}"
    # A stranger's words are no markup.
    return Group(table, *(Text(f"{n}: {h['reason']}") for n, h in found["clients"].items() if h["reason"]))
