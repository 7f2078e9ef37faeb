"""`tejido catalog load`: from a source to a live catalogue."""

from __future__ import annotations

from catalog import etl
from catalog.store import CatalogueStore
from cli.catalog.options import (
    PartitionOption,
    ProductsOption,
    SeedOption,
    SourceOption,
    client_stores,
    data_store,
    summary_table,
)
from cli.catalog.tracking import log_catalogue
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def load(
    source: SourceOption = "synthetic",
    products: ProductsOption = None,
    partition: PartitionOption = "iid",
    seed: SeedOption = 0,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Obtain, clean, split, partition and publish a catalogue; nothing is live before the end."""
    settings = platform_settings(state)
    with command_progress(settings) as progress, CatalogueStore(settings.required("postgres_dsn")) as catalogue:
        result = etl.load(
            source,
            store=data_store(settings),
            catalogue=catalogue,
            clients=client_stores(settings),
            partition_spec=partition,
            limit=products,
            seed=seed,
            progress=progress,
        )
    result["mlflow_run_id"] = log_catalogue(settings, result)
    emit(result, how, summary_table)
