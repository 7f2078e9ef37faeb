"""`tejido catalog partition`: give each client its part of the train split."""

from __future__ import annotations

from catalog import etl
from catalog.manifest import version_of_run
from cli.catalog.options import PartitionOption, RunOption, client_stores, data_store, summary_table
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def partition(
    run: RunOption,
    partition: PartitionOption = "iid",
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Spread the train split over the clients' buckets."""
    settings = platform_settings(state)
    with command_progress(settings) as progress:
        result = etl.partition(
            version_of_run(run),
            spec=partition,
            clients=client_stores(settings),
            store=data_store(settings),
            progress=progress,
        )
    emit(result, how, summary_table)
