"""`tejido model`: the versions in MLflow, and which one is the champion."""

from __future__ import annotations

import typer

from cli.model import list_versions, promote, rollback

app = typer.Typer(help="List model versions; promote the challenger.", no_args_is_help=True)
app.command("list")(list_versions.list_versions)
app.command()(promote.promote)
app.command()(rollback.rollback)
