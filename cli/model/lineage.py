"""`tejido model lineage`: from a served answer to model, run, data and clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.lineage import lineage as trace
from server.tracking import CHAMPION


def lineage(
    version: Annotated[str, typer.Argument(help="Number or alias of a version.")] = CHAMPION,
    index: Annotated[
        int | None, typer.Option(help="The `indexVersion` of an answer, in place of a model version.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Show what a model version was made from: its run, code, data, privacy, and each client's part."""
    emit(trace(platform_settings(state), version=version, index=index), how, _text)


def _text(found: dict[str, Any]) -> Group:
    facts = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(found):
        facts.add_row(name, escape(str(value)) if value else "[dim]not recorded[/]")
    return Group(facts, *_clients(found["clients"]))


def _facts(found: dict[str, Any]) -> Iterator[tuple[str, object]]:
    model, run, data = found["model"], found["run"], found["data"]
    aliases = f" ({', '.join(model['aliases'])})" if model["aliases"] else ""
    indexes = ", ".join(f"{index['version']} ({index['state']})" for index in found["indexes"])
    yield "model", f"{model['name']} version {model['version']}{aliases}, {model['preset']}"
    yield "content hash", model["content_hash"]
    yield "indexes", indexes or "none"
    yield "judgement", model["judgement"] or "none"
    yield "run", f"{run['run_key'] or run['run_id']}, {run['status'].lower()}"
    yield "", run["url"]
    yield "settings", ", ".join(f"{key}={value}" for key, value in run["settings"].items())
    if run["started_from"]:
        yield "started from", run["started_from"]
    yield "code", run["code_version"]
    yield "catalogue", f"{data['catalogue_version']}, {data['source'] or 'source not known any more'}"
    yield "data manifest", f"{data['manifest_sha256']} ({data['state']})" if data["manifest_sha256"] else None
    yield "mode", run["mode"]
    yield "privacy", run["privacy"]
    yield "traffic", _traffic(run["traffic"])


def _traffic(traffic: dict[str, float | None]) -> str | None:
    up, down = traffic["bytes_up"], traffic["bytes_down"]
    return None if up is None or down is None else f"{up / 1e6:,.1f} MB from the clients, {down / 1e6:,.1f} MB to them"


def _clients(clients: list[dict[str, Any]]) -> Iterator[RenderableType]:
    table = Table("client")
    for column in ("products", "accepted", "rejected", "silent", "MB up", "MB down"):
        table.add_column(column, justify="right")
    for client in clients:
        rounds = client["rounds"]
        table.add_row(
            escape(client["name"]),
            "" if client["products"] is None else f"{client['products']:,}",
            *("" if rounds[fate] is None else str(rounds[fate]) for fate in ("accepted", "rejected", "silent")),
            *("" if client[way] is None else f"{client[way] / 1e6:,.1f}" for way in ("bytes_up", "bytes_down")),
        )
    yield table
    yield from (f"{client['name']}, {reason}" for client in clients for reason in client["reasons"])
