"""`tejido catalog obtain`: read a source into the raw area."""

from __future__ import annotations

from catalog import etl
from catalog.manifest import version_of_run
from cli.catalog.options import ProductsOption, RunOption, SeedOption, SourceOption, data_store
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings


def obtain(
    run: RunOption,
    source: SourceOption = "synthetic",
    products: ProductsOption = None,
    seed: SeedOption = 0,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Read a source into s3://data/raw."""
    settings = platform_settings(state)
    with command_progress(settings) as progress:
        result = etl.obtain(
            version_of_run(run), spec=source, store=data_store(settings), limit=products, seed=seed, progress=progress
        )
    emit(result, how, lambda found: f"{found['read']:,} rows obtained from {source}.")
