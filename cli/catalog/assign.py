"""`tejido catalog assign`: decide which client holds which product."""

from __future__ import annotations

from catalog import etl
from catalog.manifest import version_of_run
from cli.catalog.options import PartitionOption, RunOption, client_stores, data_store, summary_table
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def assign(
    run: RunOption,
    partition: PartitionOption = "iid",
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Decide which client holds which product of the train split; nothing reaches a client yet."""
    settings = platform_settings(state)
    stores = client_stores(settings)
    emit(
        etl.assign(version_of_run(run), spec=partition, clients=stores, store=data_store(settings)), how, summary_table
    )
