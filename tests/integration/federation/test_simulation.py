"""Flower's simulation engine for real: its SuperLink, Ray, virtual clients; and nothing left afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from catalog.errors import EmptyPartition
from core.progress import NoProgress
from core.settings import Settings
from federation.config import FederationConfig
from server.errors import RunFailed
from server.simulation import MARK, prepare_simulation, simulate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
CLIENTS = 4


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulation")
    prepare_simulation(folder, spec="synthetic", clients=CLIENTS, limit=160)
    return folder


def marked() -> Iterator[psutil.Process]:
    """Processes that a simulation left behind."""
    for process in psutil.process_iter():
        try:
            if MARK in process.environ():
                yield process
        except (psutil.Error, OSError):
            continue


def run(root: Path, **changes: Any) -> dict[str, Any]:
    config = FederationConfig(preset="tiny", rounds=2, local_epochs=3, **changes)
    return simulate(
        root, config, clients=CLIENTS, run_key="simulated", progress=NoProgress(), settings=Settings(_env_file=None)
    )


def test_virtual_clients_train_together_and_leave_no_process(root: Path) -> None:
    result = run(root)
    assert [entry["replies"] for entry in result["rounds"]] == [CLIENTS, CLIENTS]
    assert result["mlflow"]["tracking_uri"].startswith("sqlite:///")
    assert result["mlflow"]["version"] == "1"
    assert (root / "checkpoints" / "simulated" / "state.json").is_file()
    plots = {path.name for path in (root / "mlflow").rglob(f"{result['mlflow']['run_id']}/artifacts/plots/*.png")}
    assert plots == {"recall.png", "bytes.png", "norms.png", "partition.png"}
    assert not list(marked())


def test_failed_simulation_says_why_and_leaves_no_process(root: Path) -> None:
    with pytest.raises(RunFailed, match=r"server\.clients_missing"):
        run(root, min_clients=CLIENTS + 1, wait_s=1.0)
    assert not list(marked())


def test_more_clients_than_products_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(EmptyPartition):
        prepare_simulation(tmp_path, spec="synthetic", clients=60, limit=40)
