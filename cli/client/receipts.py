"""`tejido client receipts`: what has left a client's machine, by its own signed notes."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli.client.session import NameArgument, client_settings
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption
from clients.receipts import receipts_of


def receipts(
    name: NameArgument = None,
    run: Annotated[str | None, typer.Option(help="Of one federated run only.")] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Show what a client has sent, round by round; every signature and the chain of all receipts are verified first."""
    settings = client_settings(state, name)
    found = list(receipts_of(settings).read())
    shown = [receipt for receipt in found if run in (None, receipt["run"])]
    emit({"client": settings.client_name, "verified": len(found), "receipts": shown}, how, _table)


def _table(result: dict[str, Any]) -> Table:
    columns = ("no.", "at", "run", "what", "tensors", "bytes", "clipped to", "examples", "mode", "SHA-256")
    table = Table(*columns, title=f"{result['client']}: {result['verified']} receipts, all signed and in order")
    for receipt in result["receipts"]:
        what = f"round {receipt['round']}" if receipt["what"] == "update" else f"page {receipt['page']}"
        clipped, examples = receipt["clip_norm"], receipt["told"].get("num-examples", "")
        table.add_row(
            str(receipt["number"]),
            receipt["at"],
            # The coordinator's words are no markup.
            Text(str(receipt["run"] or "")),
            what,
            str(len(receipt["tensors"])),
            f"{receipt['bytes']:,}",
            "" if clipped is None else f"{clipped:g}",
            str(examples),
            Text(f"{receipt['mode']}, privacy {receipt['privacy']}"),
            receipt["sha256"][:12],
        )
    return table
