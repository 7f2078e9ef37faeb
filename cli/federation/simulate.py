"""`tejido federation simulate`: many virtual clients in Flower's simulation engine, without any service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Group

from cli.catalog.options import PartitionOption, ProductsOption, SourceOption
from cli.errors import BadOption
from cli.federation.options import (
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
from core.settings import Attack, SimulationFaults, load_settings
from server.simulation import chosen_attackers, prepare_simulation
from server.simulation import simulate as run_simulation

ATTACKS = get_args(Attack)


def simulate(
    source: SourceOption = "synthetic",
    products: ProductsOption = None,
    clients: Annotated[int, typer.Option(help="How many virtual clients, up to some 100.")] = 3,
    rounds: RoundsOption = 3,
    preset: PresetOption = "lite",
    partition: PartitionOption = "iid",
    seed: SeedOption = 0,
    trainable: TrainableOption = "heads",
    strategy: StrategyOption = "fedavg",
    encoding: EncodingOption = "fp32",
    settings: SetOption = None,
    attackers: Annotated[int, typer.Option(min=0, help="How many of them attack; the seed decides which.")] = 0,
    attack: Annotated[str, typer.Option(help=f"What an attacker does: {', '.join(ATTACKS)}.")] = "sign_flip",
    dropout: Annotated[float, typer.Option(help="Share of (client, round) in which a client fails, below 1.")] = 0.0,
    folder: Annotated[Path, typer.Option(help="Keeps partitions, caches, checkpoints and MLflow's file.")] = Path(
        ".tejido/simulation"
    ),
    how: FormatOption = Format.TEXT,
) -> None:
    """Train in Flower's simulation engine; each virtual client has a partition of its own."""
    if clients < 1:
        raise BadOption(f"--clients is {clients}.", hint="Give at least 1.")
    faults = simulated_faults(clients, attackers, attack, dropout, seed=seed)
    config = federation_config(
        settings, rounds=rounds, preset=preset, seed=seed, trainable=trainable, strategy=strategy, encoding=encoding
    )
    own = load_settings()
    with command_progress(own) as progress:
        prepare_simulation(
            folder, spec=source, clients=clients, partition_spec=partition, limit=products, seed=seed, progress=progress
        )
        run_key = f"simulation-{time.strftime('%Y%m%dT%H%M%S')}"
        result = run_simulation(
            folder, config, clients=clients, run_key=run_key, progress=progress, settings=own, faults=faults
        )
    emit(result, how, simulation_text)


def simulated_faults(
    clients: int, attackers: int, attack: str, dropout: float, *, seed: int
) -> SimulationFaults | None:
    """What shall go wrong, or None where nothing shall.

    Raises:
        BadOption: a number is out of its range, or the attack is unknown.
    """
    if attack not in ATTACKS:
        raise BadOption(f"--attack is {attack!r}.", hint=f"Choose one of: {', '.join(ATTACKS)}.")
    if attackers > clients:
        raise BadOption(f"--attackers is {attackers}.", hint=f"There are {clients} clients.")
    if not 0 <= dropout < 1:
        raise BadOption(f"--dropout is {dropout}.", hint="Give a share: 0, or more but below 1.")
    if not attackers and not dropout:
        return None
    chosen = chosen_attackers(clients, attackers, seed=seed)
    return SimulationFaults(attackers=chosen, attack=attack, dropout=dropout, seed=seed)


def simulation_text(result: dict[str, Any]) -> Group:
    """The result, and what went wrong on purpose."""
    faults = result.get("faults")
    if not faults:
        return result_text(result)
    names = ", ".join(faults["attackers"])
    said = [f"{names} attacked: {faults['attack']}"] if names else []
    if faults["dropout"]:
        said.append(f"each client dropped out of {faults['dropout']:.0%} of the rounds")
    return Group(result_text(result), f"Simulated faults: {'; '.join(said)}.")
