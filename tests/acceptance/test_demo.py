"""The main job, as a user runs it: from a catalogue to answered searches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.runs import processes_of, run

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]
PRODUCTS = 300


@pytest.fixture(scope="module")
def report(state: Path, fashion_dir: Path) -> dict[str, Any]:
    """The report of one demo on real products."""
    path = state / "report.json"
    ended = run(
        "demo", "--source", f"dir:{fashion_dir}", "--products", PRODUCTS, "--clients", 2, "--rounds", 2,
        "--state", state, "--exit", "--report", path, timeout_s=500,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-4000:]
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_all_three_dag_runs_succeed(report: dict[str, Any]) -> None:
    assert [(run["dag_id"], run["state"]) for run in report["airflow"]] == [
        ("catalog_etl", "success"),
        ("federated_finetune", "success"),
        ("index_catalog", "success"),
    ]


def test_every_product_read_is_kept_or_rejected_and_every_kept_one_is_in_a_split(report: dict[str, Any]) -> None:
    products = report["products"]
    assert products["read"] == PRODUCTS == products["kept"] + products["rejected"]
    assert sum(report["split"].values()) == products["kept"]
    assert sum(client["products"] for client in report["clients"]) == report["split"]["train"]


def test_every_client_answered_every_round(report: dict[str, Any]) -> None:
    rounds = report["federation"]["rounds"]
    assert [entry["round"] for entry in rounds] == [1, 2]
    assert all(entry["replies"] == 2 and entry["rejected"] == 0 for entry in rounds)
    assert all(entry["bytes_up"] > 0 and entry["bytes_down"] > 0 for entry in rounds)


def test_the_champion_beats_zero_shot_on_a_gallery_of_all_kept_products(report: dict[str, Any]) -> None:
    recall = report["recall_at_10"]
    assert recall["gallery"] == report["products"]["kept"]
    assert recall["champion"] > recall["zero_shot"]
    assert report["mlflow"]["alias"] == "champion"


def test_every_kept_product_is_indexed_and_every_search_is_answered(report: dict[str, Any]) -> None:
    assert report["index"]["products"] == report["products"]["kept"]
    assert len(report["searches"]) >= 3
    for search in report["searches"]:
        scores = [hit["score"] for hit in search["hits"]]
        assert scores
        assert scores == sorted(scores, reverse=True)
        assert all(hit["productDisplayName"] for hit in search["hits"])


def test_the_report_tells_time_and_memory(report: dict[str, Any]) -> None:
    assert report["seconds"]["total"] > 0
    assert 500 < report["peak_rss_mb"] < 9 * 1024


@pytest.mark.usefixtures("report")
def test_nothing_is_left_running(state: Path) -> None:
    assert processes_of(state) == []
