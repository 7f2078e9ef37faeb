"""`tejido catalog publish`: make a version live, and log its run to MLflow."""

from __future__ import annotations

from catalog import etl
from catalog.manifest import version_of_run
from catalog.store import CatalogueStore
from cli.catalog.options import RunOption, data_store, summary_table
from cli.catalog.tracking import log_catalogue
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def publish(run: RunOption, state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Replace the published rows in one transaction, then move the live manifest."""
    settings = platform_settings(state)
    with command_progress(settings) as progress, CatalogueStore(settings.required("postgres_dsn")) as catalogue:
        result = etl.publish(version_of_run(run), store=data_store(settings), catalogue=catalogue, progress=progress)
    result["mlflow_run_id"] = log_catalogue(settings, result)
    emit(result, how, summary_table)
