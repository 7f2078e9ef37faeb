"""The files that provision monitoring name each other rightly, and the dashboards can be read by people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.metrics import ApiMetrics
from tests.unit.metrics import all_metrics

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "docker" / "monitoring"
PROVISIONING = MONITORING / "grafana" / "provisioning"
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
BY_EVERYTHING = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
"""Metrics of Prometheus itself and of every process."""
METRIC = re.compile(r"\b(tejido_\w+|process_\w+|up)\b")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def board(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def targets(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for panel in board(path)["panels"]:
        for target in panel["targets"]:
            yield panel, target


def test_there_is_a_dashboard_for_each_topic() -> None:
    assert [path.stem for path in DASHBOARDS] == ["clients", "recall", "rounds", "search"]
    assert len({board(path)["uid"] for path in DASHBOARDS}) == len(DASHBOARDS)


def test_the_one_datasource_is_that_of_every_panel() -> None:
    (source,) = read(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    known = {"type": "prometheus", "uid": source["uid"]}
    for path in DASHBOARDS:
        assert all(panel["datasource"] == known == target["datasource"] for panel, target in targets(path)), path.name


def test_grafana_looks_as_often_as_prometheus_does() -> None:
    (source,) = read(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    assert source["jsonData"]["timeInterval"] == read(MONITORING / "prometheus.yml")["global"]["scrape_interval"]


def test_the_provider_reads_dashboards_where_compose_puts_them() -> None:
    (provider,) = read(PROVISIONING / "dashboards" / "tejido.yml")["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "/var/lib/grafana/dashboards")


def test_prometheus_shows_a_token_that_stands_in_a_file() -> None:
    jobs = read(MONITORING / "prometheus.yml")["scrape_configs"]
    assert [job["static_configs"][0]["targets"] for job in jobs] == [["api:8800"], ["metrics:9400"]]
    assert {job["authorization"]["credentials_file"] for job in jobs} == {"/run/secrets/metrics-token"}
    assert not any("credentials" in job["authorization"] for job in jobs)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_says_what_it_shows_and_in_which_unit(path: Path) -> None:
    found = board(path)
    assert found["schemaVersion"] >= 39
    assert len({panel["id"] for panel in found["panels"]}) == len(found["panels"])
    for panel in found["panels"]:
        assert panel["title"], path.name
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        assert all(target["legendFormat"] for target in panel["targets"]) or panel["type"] == "table"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_lie_side_by_side_and_never_on_each_other(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board(path)["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_metric_that_a_dashboard_asks_for_exists(path: Path) -> None:
    known = {name for metric in all_metrics() for name in metric.samples} | BY_EVERYTHING
    asked = {name for _, target in targets(path) for name in METRIC.findall(target["expr"])}
    assert asked
    assert asked <= known


def test_a_rate_is_taken_over_grafana_s_own_interval() -> None:
    for path in DASHBOARDS:
        for _, target in targets(path):
            assert set(re.findall(r"\[(.*?)\]", target["expr"])) <= {"$__rate_interval"}, target["expr"]


def test_names_end_in_their_units() -> None:
    for metric in all_metrics():
        assert re.fullmatch(r"tejido_[a-z0-9_]+", metric.name)
        if metric.kind == "histogram":
            assert metric.name.endswith(("_seconds", "_queries"))


def test_two_apis_in_one_process_count_apart() -> None:
    one, other = ApiMetrics(), ApiMetrics()
    one.error("api.not_found")
    assert b"api.not_found" in one.text()
    assert b"api.not_found" not in other.text()
