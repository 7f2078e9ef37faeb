"""`tejido federation simulate`: many virtual clients in Flower's simulation engine, without any service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cli.catalog.options import PartitionOption, ProductsOption, SourceOption
from cli.errors import BadOption
from cli.federation.options import PresetOption, RoundsOption, SeedOption, result_text
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from core.settings import load_settings
from federation.config import FederationConfig
from server.simulation import prepare_simulation
from server.simulation import simulate as run_simulation


def simulate(
    source: SourceOption = "synthetic",
    products: ProductsOption = None,
    clients: Annotated[int, typer.Option(help="How many virtual clients.")] = 3,
    rounds: RoundsOption = 3,
    preset: PresetOption = "lite",
    partition: PartitionOption = "iid",
    seed: SeedOption = 0,
    folder: Annotated[Path, typer.Option(help="Keeps partitions, caches, checkpoints and MLflow's file.")] = Path(
        ".tejido/simulation"
    ),
    how: FormatOption = Format.TEXT,
) -> None:
    """Train in Flower's simulation engine; each virtual client has a partition of its own."""
    if clients < 1:
        raise BadOption(f"--clients is {clients}.", hint="Give at least 1.")
    config = FederationConfig(preset=preset, rounds=rounds, seed=seed)
    settings = load_settings()
    with command_progress(settings) as progress:
        prepare_simulation(
            folder, spec=source, clients=clients, partition_spec=partition, limit=products, seed=seed, progress=progress
        )
        run_key = f"simulation-{time.strftime('%Y%m%dT%H%M%S')}"
        result = run_simulation(folder, config, clients=clients, run_key=run_key, progress=progress, settings=settings)
    emit(result, how, result_text)
