"""`tejido catalog stats`: what is live."""

from __future__ import annotations

from catalog import etl
from catalog.manifest import live_manifest
from cli.catalog.options import data_store, summary_table
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def stats(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Show the catalogue that is live: its source, what was rejected, splits and clients."""
    emit(etl.summary(live_manifest(data_store(platform_settings(state)))), how, summary_table)
