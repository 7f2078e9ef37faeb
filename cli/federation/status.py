"""`tejido federation status`: how far a run is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from cli.federation.options import RunArgument, refusals, rounds_table
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.runs import run_status


def status(run: RunArgument, state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Show a run's stage, its rounds, whom it waits for, and which updates did not count and why."""
    emit(run_status(platform_settings(state), run), how, _text)


def _text(found: dict[str, Any]) -> Group:
    rounds = found.get("rounds", [])
    return Group(*map(Text, _lines(found)), rounds_table(rounds), *refusals(rounds), *_coverage(rounds))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['stage']}: {found.get('message', '')}".rstrip(": ")
    if found.get("waiting_for"):
        yield f"waiting for {', '.join(found['waiting_for'])}"
    if found.get("resumed_from") is not None:
        yield f"resumed after round {found['resumed_from']}"
    if error := found.get("error"):
        yield f"{error['message']} {error['hint']}".rstrip() + f" [{error['code']}]"


def _coverage(rounds: list[dict[str, Any]]) -> Iterator[Table]:
    """On how much of its products each client trained in the last round."""
    if not rounds or not rounds[-1]["coverage"]:
        return
    table = Table("client", "trained on", "holds", "skipped", title=f"Coverage in round {rounds[-1]['round']}")
    for client, held in rounds[-1]["coverage"].items():
        skipped = ", ".join(f"{reason} {number:,}" for reason, number in held["skipped"].items())
        table.add_row(client, f"{held['trained']:,}", f"{held['held']:,}", Text(skipped))
    yield table
