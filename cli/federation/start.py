"""`tejido federation start`: hand a run to Flower and come back at once."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.federation.options import (
    ClientNamesOption,
    EncodingOption,
    PresetOption,
    RoundsOption,
    SeedOption,
    SetOption,
    StrategyOption,
    TrainableOption,
    federation_config,
)
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.runs import start_federation


def start(
    run: Annotated[str, typer.Option("--run", help="Id of the run; a finished one is not repeated.")],
    rounds: RoundsOption = 3,
    preset: PresetOption = "lite",
    seed: SeedOption = 0,
    trainable: TrainableOption = "heads",
    strategy: StrategyOption = "fedavg",
    encoding: EncodingOption = "fp32",
    clients: ClientNamesOption = "",
    settings: SetOption = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Start federated rounds, or go on after the last complete one; `tejido federation wait` waits for the result."""
    config = federation_config(
        settings,
        rounds=rounds,
        preset=preset,
        seed=seed,
        trainable=trainable,
        strategy=strategy,
        encoding=encoding,
        clients=clients,
    )
    flower_run = start_federation(platform_settings(state), config, run)
    said = f"Flower's run {flower_run} works on {run}." if flower_run else f"{run} was completed before."
    emit({"run": run, "flower_run": flower_run, "is_complete": flower_run is None}, how, lambda _: said)
