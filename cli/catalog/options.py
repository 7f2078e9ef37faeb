"""Options and connections that the catalogue's commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter
from rich.table import Table

from catalog import etl
from catalog.objects import ObjectStore, S3ObjectStore
from core.settings import ClientBucket, Settings, SettingsError

SourceOption = Annotated[str, typer.Option(help="hf:OWNER/NAME, dir:PATH (styles.csv and images/) or synthetic.")]
ProductsOption = Annotated[int | None, typer.Option(min=1, help="Take at most this many products.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of sampling, splits and partitions.")]
PartitionOption = Annotated[str, typer.Option(help="iid, 'dirichlet(0.5, subCategory)', season, or gender.")]
RunOption = Annotated[str, typer.Option("--run", help="Run whose catalogue version this step works on.")]


def data_store(settings: Settings) -> S3ObjectStore:
    """The platform's bucket of catalogues."""
    return S3ObjectStore(settings.platform_bucket("data"))


def client_buckets(settings: Settings) -> list[ClientBucket]:
    """The clients' buckets, as the operator writes to them.

    Raises:
        SettingsError: the file is not there or is something else.
    """
    path = Path(settings.required("clients_file"))
    try:
        return TypeAdapter(list[ClientBucket]).validate_python(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise SettingsError(f"The clients' file {path} cannot be read: {error}.", hint="Run `tejido up`.") from error


def client_stores(settings: Settings) -> dict[str, ObjectStore]:
    """A store for each client's bucket, by the client's name."""
    return etl.client_stores(client_buckets(settings))


def summary_table(result: dict[str, Any]) -> Table:
    """One catalogue version, for people."""
    table = Table.grid(padding=(0, 2))
    table.add_row("Version", result["version"])
    table.add_row("Source", result["source"])
    table.add_row("Products", f"{result['kept']:,} of {result['read']:,} kept, {result['rejected']:,} rejected")
    for reason, count in result["reject_reasons"].items():
        table.add_row("", f"{count:,} {reason}")
    table.add_row("Shards", f"{result['shards']}, of which {result['reused']} were stored already")
    table.add_row("Splits", ", ".join(f"{name} {count:,}" for name, count in result["split"].items()))
    for client in result["clients"]:
        table.add_row("Client", f"{client['name']}: {client['products']:,} in {client['bucket']}")
    return table
