"""`tejido catalog clean`: reject what cannot be used, and split what can."""

from __future__ import annotations

from catalog import etl
from catalog.manifest import version_of_run
from cli.catalog.options import RunOption, data_store, summary_table
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def clean(run: RunOption, state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Clean what was obtained and split it by name into train, val and test."""
    settings = platform_settings(state)
    with command_progress(settings) as progress:
        result = etl.clean_and_split(version_of_run(run), store=data_store(settings), progress=progress)
    emit(result, how, summary_table)
