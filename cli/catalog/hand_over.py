"""`tejido catalog hand-over`: make the parts that lie ready the clients' own."""

from __future__ import annotations

from catalog import etl
from catalog.manifest import version_of_run
from cli.catalog.options import RunOption, client_stores, data_store, summary_table
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def hand_over(run: RunOption, state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Make the parts that lie ready in the clients' buckets their own, all of them or none."""
    settings = platform_settings(state)
    result = etl.hand_over(version_of_run(run), clients=client_stores(settings), store=data_store(settings))
    emit(result, how, summary_table)
