"""`tejido federation`: train together."""

from __future__ import annotations

import typer

from cli.federation import preflight, run, simulate, status

app = typer.Typer(help="Run federated rounds, for real or in simulation.", no_args_is_help=True)
app.command()(run.run)
app.command()(simulate.simulate)
app.command()(status.status)
app.command()(preflight.preflight)
