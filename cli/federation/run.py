"""`tejido federation run`: train on the clients of the running stack."""

from __future__ import annotations

import time
from typing import Annotated
from uuid import uuid4

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
    result_text,
)
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from server.runs import run_federation


def run(
    rounds: RoundsOption = 3,
    preset: PresetOption = "lite",
    seed: SeedOption = 0,
    trainable: TrainableOption = "heads",
    strategy: StrategyOption = "fedavg",
    encoding: EncodingOption = "fp32",
    clients: ClientNamesOption = "",
    settings: SetOption = None,
    run: Annotated[
        str | None,
        typer.Option("--run", help="Id of the run; a finished one is not repeated, one that broke off goes on."),
    ] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Run federated rounds on the SuperLink; leaves a challenger in MLflow."""
    platform = platform_settings(state)
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
    run_key = run or f"run-{time.strftime('%Y%m%dT%H%M%S')}-{uuid4().hex[:6]}"
    with command_progress(platform) as progress:
        result = run_federation(platform, config, run_key, progress)
    emit(result, how, result_text)
