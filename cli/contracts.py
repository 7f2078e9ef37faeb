"""Contracts of runs, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text


def contract_table(told: Mapping[str, Any]) -> Table:
    """What a contract says, line by line; ``told`` also has its ``sha256`` and whether the operator signed it."""
    contract, terms = told["contract"], told["contract"]["terms"]
    table = Table(title=f"Contract {told['sha256'][:12]}", show_header=False)
    for name, value in {
        "run": contract["run"],
        "purpose": contract["purpose"],
        "programs": f"bundle {contract['bundle'][:12]}, commit {contract['commit'][:12] or 'unknown'}",
        "trained": _trained(terms) if terms else "nothing: clients are asked for what they publish",
        "privacy": _privacy(terms) if terms else "",
        "at most": f"{contract['update_bytes']:,} bytes in one reply",
        "until": contract["until"],
        "operator": "signed" if told["is_signed"] else "not signed",
    }.items():
        # The other side's words are no markup.
        table.add_row(name, Text(str(value)))
    return table


def _trained(terms: Mapping[str, Any]) -> str:
    return f"{terms['trainable']}, {terms['rounds']} rounds at most, {terms['mode']}"


def _privacy(terms: Mapping[str, Any]) -> str:
    if terms["privacy"] == "none":
        return "none"
    noise = f"clipped to {terms['clip-norm']:g}, noise {terms['noise-multiplier']:g}"
    return f"epsilon at most {terms['epsilon-budget']:g} (delta {terms['delta']:g}), {noise}"
