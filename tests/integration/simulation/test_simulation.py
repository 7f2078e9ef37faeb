"""Flower's simulation engine for real: its SuperLink, Ray, virtual clients; and nothing left afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from catalog.errors import EmptyPartition
from catalog.objects import DirectoryStore
from core.progress import NoProgress, Progress
from core.settings import Settings, SimulationFaults
from federation.config import FederationConfig
from federation.errors import FederationConfigError
from server.baselines import compare_baselines
from server.enrolments import note_admitted, note_removed
from server.errors import RunFailed, RunRefused
from server.simulation import MARK, prepare_simulation, simulate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
CLIENTS = 4
HEADS = "heads-first"


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


class Removing(NoProgress):
    """Removes a client as soon as the first round is under way."""

    def __init__(self, root: Path, client: str) -> None:
        self._store, self._client = DirectoryStore(root / "data"), client

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        if detail.startswith("heard"):
            note_removed(self._store, self._client)


def run(
    root: Path,
    *,
    key: str = "simulated",
    faults: SimulationFaults | None = None,
    progress: Progress | None = None,
    **changes: Any,
) -> dict[str, Any]:
    config = FederationConfig(**{"preset": "tiny", "rounds": 2, "local_epochs": 3, **changes})
    return simulate(
        root,
        config,
        clients=CLIENTS,
        run_key=key,
        progress=progress or NoProgress(),
        settings=Settings(_env_file=None),
        faults=faults,
    )


@pytest.fixture(scope="module")
def heads(root: Path) -> dict[str, Any]:
    """The first run, which another goes on from."""
    return run(root, key=HEADS)


def test_virtual_clients_train_together_and_leave_no_process(root: Path, heads: dict[str, Any]) -> None:
    result = heads
    assert [entry["replies"] for entry in result["rounds"]] == [CLIENTS, CLIENTS]
    assert result["mlflow"]["tracking_uri"].startswith("sqlite:///")
    assert result["mlflow"]["version"] == "1"
    assert (root / "checkpoints" / HEADS / "state.json").is_file()
    plots = {path.name for path in (root / "mlflow").rglob(f"{result['mlflow']['run_id']}/artifacts/plots/*.png")}
    assert plots == {"recall.png", "bytes.png", "norms.png", "partition.png"}
    assert not list(marked())
    assert set(result["rounds"][0]["recall_by_client"]) <= {"aurora", "boreal", "cobre", "duna"}
    compared = compare_baselines(
        Settings(_env_file=None, simulation_dir=root, cache_dir=root / "cache"),
        HEADS,
        NoProgress(),
        centralised={"dropout": 0.1},
    )
    names = [row["name"] for row in compared["contenders"]]
    assert names == ["federated", "zero shot", "centralised", "aurora", "boreal", "cobre", "duna"]
    samples = {row["name"]: row["samples"] for row in compared["contenders"]}
    assert samples["centralised"] == samples["federated"] == sum(samples[name] for name in names[3:])
    assert compared["contenders"][0]["recall_at_10"] == result["recall_at_10"]["challenger"]
    assert all(0 <= row["alone"] <= 1 for row in compared["clients"])
    with pytest.raises(FederationConfigError, match="rounds"):
        compare_baselines(
            Settings(_env_file=None, simulation_dir=root, cache_dir=root / "cache"),
            HEADS,
            NoProgress(),
            alone={"rounds": 50},
        )


def test_towers_train_together_and_travel_as_int8(root: Path) -> None:
    changes: dict[str, Any] = {
        "image_blocks": 1,
        "text_blocks": 1,
        "encoding": "int8",
        "encoding_down": "fp16",
        "views": 2,
    }
    result = run(root, trainable="lora", rounds=1, local_epochs=1, template_captions=0.3, **changes)
    (entry,) = result["rounds"]
    assert entry["replies"] == CLIENTS
    assert entry["bytes_up"] < CLIENTS * 2 * result["trainable_parameters"]


def test_attacker_and_dropout_do_not_count_each_with_its_reason_and_the_others_go_on(root: Path) -> None:
    # Under seed 5, boreal alone drops out of the first round, with its work done.
    faults = SimulationFaults(attackers=("cobre",), attack="nan", dropout=0.3, seed=5)
    result = run(root, faults=faults, rounds=1, local_epochs=1)
    (entry,) = result["rounds"]
    assert (entry["asked"], entry["replies"], entry["rejected"], entry["silent"]) == (CLIENTS, CLIENTS - 2, 2, [])
    dropped, attacked = sorted(entry["rejections"])
    assert dropped.startswith("boreal: failed: ")
    assert "boreal drops out of round 1" in dropped
    assert attacked == "cobre: It holds NaN or infinity."
    assert result["faults"] == faults.model_dump()
    with closing(sqlite3.connect(root / "mlflow.db")) as tracked:
        tags = tracked.execute("SELECT value FROM tags WHERE key = 'simulation_faults'").fetchall()
    assert tags == [(faults.model_dump_json(),)]
    assert not list(marked())


def test_private_run_ends_when_its_budget_is_used_up_and_its_price_stands_on_the_model(root: Path) -> None:
    """Noise 2 costs 2.17, 3.19 and 4.01 at delta 1e-5 over one, two and three rounds: the third is too dear."""
    private: dict[str, Any] = {
        "privacy": "client-level",
        "clip_norm": 0.5,
        "noise_multiplier": 2.0,
        "epsilon_budget": 4.0,
    }
    result = run(root, key="private", rounds=5, encoding="int8", strategy="fedavgm", **private)
    assert [entry["replies"] for entry in result["rounds"]] == [CLIENTS, CLIENTS]
    assert all(norm <= 0.5 for entry in result["rounds"] for norm in entry["norms"].values())
    assert [round(entry["epsilon"], 2) for entry in result["rounds"]] == [2.17, 3.19]
    assert result["privacy"]["epsilon"] == result["rounds"][-1]["epsilon"]
    assert "one more would bring it to 4.01" in result["ended_early"]
    with closing(sqlite3.connect(root / "mlflow.db")) as tracked:
        run_id, version = result["mlflow"]["run_id"], result["mlflow"]["version"]
        curve = tracked.execute(
            "SELECT step, round(value, 2) FROM metrics WHERE key = 'epsilon' AND run_uuid = ? ORDER BY step", [run_id]
        ).fetchall()
        tags = dict(tracked.execute("SELECT key, value FROM model_version_tags WHERE version = ?", [version]))
        (ended,) = tracked.execute(
            "SELECT value FROM tags WHERE key = 'ended_early' AND run_uuid = ?", [run_id]
        ).fetchone()
    assert curve == [(1, 2.17), (2, 3.19)]
    assert (tags["privacy"], tags["delta"], tags["noise_multiplier"]) == ("client-level", "1e-05", "2")
    assert float(tags["epsilon"]) == pytest.approx(result["privacy"]["epsilon"], rel=1e-5)
    assert ended == result["ended_early"]
    (card,) = (root / "mlflow").rglob(f"{run_id}/artifacts/model/model-card.md")
    assert "epsilon 3.19 at delta 1e-05 over 2 rounds" in card.read_text()
    assert "The run ended before its last round: 2 rounds have cost epsilon 3.19" in card.read_text()
    # Another takes it from there, and pays for these two rounds, too: not one of its own fits the same budget.
    with pytest.raises(RunRefused, match=r"server\.privacy_budget_exhausted"):
        run(root, key="too-dear", start_from="private", **private)
    more = run(root, key="more", start_from="private", rounds=1, **{**private, "epsilon_budget": 5.0})
    assert round(more["privacy"]["epsilon"], 2) == 4.01
    assert more["privacy"]["ledger"] == [[2.0, 3]]


def test_failed_simulation_says_why_and_leaves_no_process(root: Path) -> None:
    with pytest.raises(RunFailed, match=r"server\.clients_missing"):
        run(root, min_clients=CLIENTS + 1, wait_s=1.0)
    assert not list(marked())


def test_run_starts_where_an_earlier_one_ended_and_trains_more(root: Path, heads: dict[str, Any]) -> None:
    with pytest.raises(RunRefused, match=r"server\.run_unknown"):
        run(root, key="then-more", start_from="nobody", rounds=1)
    # What could not start has not taken its key.
    towers: dict[str, Any] = {"trainable": "full", "image_blocks": 1, "text_blocks": 1}
    more = run(root, key="then-more", start_from=HEADS, rounds=1, **towers)
    assert more["chosen_round"] == 1
    assert more["trainable_parameters"] > heads["trainable_parameters"]


def test_more_clients_than_products_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(EmptyPartition):
        prepare_simulation(tmp_path, spec="synthetic", clients=60, limit=40)


def test_a_client_that_is_removed_while_a_run_is_under_way_is_in_no_later_round(root: Path) -> None:
    try:
        rounds = run(root, key="left", progress=Removing(root, "duna"), rounds=8)["rounds"]
    finally:
        note_admitted(DirectoryStore(root / "data"), "duna")
    assert (rounds[0]["asked"], rounds[-1]["asked"], rounds[-1]["replies"]) == (CLIENTS, CLIENTS - 1, CLIENTS - 1)
    told = [entry["silent"] for entry in rounds]
    assert told.count(["duna: it was removed"]) <= 1
    assert all(entry in ([], ["duna: it was removed"]) for entry in told)
