"""`tejido index`: the vectors that searches look in."""

from __future__ import annotations

import typer

from cli.index import build, status

app = typer.Typer(help="Build an index version and see which one is live.", no_args_is_help=True)
app.command()(build.build)
app.command()(status.status)
