"""A real Prometheus that reads a real stack, configured by the file that deployments use."""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

ROOT = Path(__file__).resolve().parents[4]
MONITORING = ROOT / "docker" / "monitoring"
CONFIG = MONITORING / "prometheus.yml"
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
WINDOW = "12s"
"""What Grafana puts in place of $__rate_interval, at one scrape a second."""


def adapted(targets: Mapping[str, str], token_file: Path) -> dict[str, Any]:
    """The deployment's configuration, with other addresses, another place of the token, and a scrape each second."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    for job in config["scrape_configs"]:
        job["authorization"]["credentials_file"] = str(token_file)
        job["static_configs"] = [{"targets": [targets[t] for t in s["targets"]]} for s in job["static_configs"]]
    return config


@contextmanager
def prometheus(program: str, config: Mapping[str, Any], folder: Path, port: int) -> Iterator[httpx.Client]:
    """A running Prometheus, and a client of its HTTP API."""
    file, log = folder / "prometheus.yml", folder / "prometheus.log"
    file.write_text(yaml.safe_dump(dict(config)))
    address = f"127.0.0.1:{port}"
    options = (f"--config.file={file}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}")
    with log.open("wb") as output:
        process = subprocess.Popen([program, *options], stdout=output, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=10) as client:
            until(lambda: is_ready(client), within_s=20, otherwise=log.read_text)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=20)


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").is_success
    except httpx.TransportError:
        return False


def samples(client: httpx.Client, expression: str, window: str = WINDOW) -> list[float]:
    """What an expression gives now."""
    query = expression.replace("$__rate_interval", window)
    answer = client.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", (expression, answer)
    return [float(sample["value"][1]) for sample in answer["data"]["result"]]


def expressions(dashboard: Path) -> list[tuple[str, str]]:
    """(panel, expression) of all targets of a dashboard."""
    panels = json.loads(dashboard.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


def without_data(client: httpx.Client, dashboard: Path, window: str = WINDOW) -> list[tuple[str, str]]:
    """(panel, expression) of a dashboard's targets that give no number now."""
    return [
        (panel, expression)
        for panel, expression in expressions(dashboard)
        if not any(math.isfinite(value) for value in samples(client, expression, window))
    ]


def until(condition: Any, *, within_s: float, otherwise: Any) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.2)
