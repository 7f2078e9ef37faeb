"""`tejido catalog`: the catalogue's pipeline as one command, and its steps as Airflow runs them."""

from __future__ import annotations

import typer

from cli.catalog import clean, load, obtain, partition, publish, stats

app = typer.Typer(help="Load a catalogue, and look at the one that is live.", no_args_is_help=True)
app.command()(load.load)
app.command()(stats.stats)
# The steps of `load`, one a process, as the DAG catalog_etl runs them.
app.command(hidden=True)(obtain.obtain)
app.command(hidden=True)(clean.clean)
app.command(hidden=True)(partition.partition)
app.command(hidden=True)(publish.publish)
