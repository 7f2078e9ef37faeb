"""Confidential runs in Flower's simulation engine: the same model as a visible run's, and one that a client leaves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.progress import NoProgress
from core.settings import Settings, SimulationFaults
from federation.config import FederationConfig
from federation.tensors import Tensors, from_safetensors
from server.errors import RunFailed
from server.simulation import prepare_simulation, simulate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
CLIENTS = 4
CLIP = 0.05
"""Some tenth of what a client learns here."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("confidential")
    prepare_simulation(folder, spec="synthetic", clients=CLIENTS, limit=160)
    return folder


def run(root: Path, key: str, *, faults: SimulationFaults | None = None, **changes: Any) -> dict[str, Any]:
    config = FederationConfig(**{"preset": "tiny", "rounds": 1, "local_epochs": 3, "clip_norm": CLIP, **changes})
    settings = Settings(_env_file=None)
    return simulate(root, config, clients=CLIENTS, run_key=key, progress=NoProgress(), settings=settings, faults=faults)


def state(root: Path, key: str, number: int) -> Tensors:
    return from_safetensors(root / "checkpoints" / key / f"round-{number:04d}.safetensors")


def test_confidential_run_learns_what_a_visible_one_learns_from_clipped_updates_of_equal_weight(root: Path) -> None:
    masked = run(root, "masked", mode="confidential", rounds=2)
    # Clipping and equal weights come with privacy; its noise is too small to be seen in float32.
    private: dict[str, Any] = {"privacy": "client-level", "noise_multiplier": 1e-9, "epsilon_budget": 1e30}
    visible = run(root, "visible", rounds=2, **private)
    for entry in masked["rounds"]:
        assert (entry["replies"], entry["rejected"], entry["norms"]) == (CLIENTS, 0, {})
        stages = {name: entry["masking"][name] for name in ("threshold", "advertised", "shared", "masked", "revealed")}
        assert stages == {"threshold": 3, **dict.fromkeys(("advertised", "shared", "masked", "revealed"), CLIENTS)}
    assert all(0.99 * CLIP < norm <= CLIP for entry in visible["rounds"] for norm in entry["norms"].values())
    for number in (1, 2):
        found, expected = state(root, "masked", number), state(root, "visible", number)
        errors = np.concatenate([(found[name] - array).ravel() for name, array in expected.items()])
        assert np.sqrt(np.square(errors.astype(np.float64)).mean()) < 1e-6, number
    assert masked["recall_at_10"] == visible["recall_at_10"]
    assert (masked["mode"], visible["mode"]) == ("confidential", "robust")
    tracked, version = masked["mlflow"]["run_id"], masked["mlflow"]["version"]
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        tags = dict(database.execute("SELECT key, value FROM model_version_tags WHERE version = ?", [version]))
        params = dict(database.execute("SELECT key, value FROM params WHERE run_uuid = ?", [tracked]))
        per_client = database.execute(
            "SELECT DISTINCT key FROM metrics WHERE run_uuid != ? AND key IN ('loss', 'norm', 'accepted')", [tracked]
        ).fetchall()
    assert (tags["mode"], params["mode"]) == ("confidential", "confidential")
    assert {key for (key,) in per_client} >= {"loss", "accepted"}
    (card,) = (root / "mlflow").rglob(f"{tracked}/artifacts/model/model-card.md")
    assert "| mode | confidential: updates are masked" in card.read_text()


def test_client_that_drops_out_while_it_trains_is_left_out_and_private_noise_is_accounted_for(root: Path) -> None:
    # Under seed 5, boreal alone drops out of the first round, with its work done.
    faults = SimulationFaults(dropout=0.3, seed=5)
    private: dict[str, Any] = {"privacy": "client-level", "noise_multiplier": 2.0}
    result = run(root, "dropped", faults=faults, mode="confidential", local_epochs=1, **private)
    (entry,) = result["rounds"]
    assert (entry["asked"], entry["replies"], entry["rejected"]) == (CLIENTS, CLIENTS - 1, 1)
    assert "boreal drops out of round 1" in entry["rejections"][0]
    assert entry["masking"]["dropped"] == {"boreal": entry["rejections"][0].replace("boreal: ", "masked: ", 1)}
    assert (entry["masking"]["shared"], entry["masking"]["masked"]) == (CLIENTS, CLIENTS - 1)
    assert round(entry["epsilon"], 2) == 2.17
    assert (result["privacy"]["noise"], result["privacy"]["ledger"]) == ("shares", [[2.0, 1]])


def test_run_that_a_threshold_stops_names_the_reasons(root: Path) -> None:
    # Under seed 5 boreal is gone, and all four are needed.
    faults = SimulationFaults(dropout=0.3, seed=5)
    with pytest.raises(RunFailed, match="3 clients have masked, 4 are needed"):
        run(root, "stopped", faults=faults, mode="confidential", local_epochs=1, quorum=1.0, round_retries=0)
