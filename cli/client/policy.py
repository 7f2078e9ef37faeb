"""`tejido client policy check`: whether a policy can be read, and what it allows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.output import Format, FormatOption, emit
from security.errors import PolicyRefused
from security.policy import read_policy


def check(
    file: Annotated[Path, typer.Argument(help="The policy, TOML or JSON.")], how: FormatOption = Format.TEXT
) -> None:
    """Read a policy as the client's programs do; one that allows nothing, for it is damaged or expired, is an error."""
    policy = read_policy(file)
    if datetime.now(UTC).date() >= policy.expires:
        raise PolicyRefused("expires", f"it expired on {policy.expires.isoformat()}")
    emit(policy.model_dump(mode="json"), how, _table)


def _table(rules: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for rule, value in rules.items():
        if isinstance(value, list):
            value = ", ".join(value) or ("at any time" if rule == "hours" else "none")
        table.add_row(rule, escape(f"{value:,}" if isinstance(value, int) else str(value)))
    return table
