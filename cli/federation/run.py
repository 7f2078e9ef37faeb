"""`tejido federation run`: train on the clients of the running stack."""

from __future__ import annotations

import time
from typing import Annotated
from uuid import uuid4

import typer

from cli.federation.options import PresetOption, RoundsOption, SeedOption, result_text
from cli.output import Format, FormatOption, emit
from cli.progress import command_progress
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from federation.config import FederationConfig
from server.runs import run_federation


def run(
    rounds: RoundsOption = 3,
    preset: PresetOption = "lite",
    seed: SeedOption = 0,
    run: Annotated[str | None, typer.Option("--run", help="Id of the run; a finished one is not repeated.")] = None,
    state: StateOption = DEFAULT_STATE,
    how: FormatOption = Format.TEXT,
) -> None:
    """Run federated rounds on the SuperLink; leaves a challenger in MLflow."""
    settings = platform_settings(state)
    config = FederationConfig(preset=preset, rounds=rounds, seed=seed)
    run_key = run or f"run-{time.strftime('%Y%m%dT%H%M%S')}-{uuid4().hex[:6]}"
    with command_progress(settings) as progress:
        result = run_federation(settings, config, run_key, progress)
    emit(result, how, result_text)
