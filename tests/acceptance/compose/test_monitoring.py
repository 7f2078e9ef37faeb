"""Prometheus, configured by the deployment's own file, reads a deployment that has trained and is searched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.compose.deployment import PORTS, Deployment
from tests.acceptance.compose.use import API
from tests.integration.stack.watched.scraping import DASHBOARDS, is_ready, samples, until, without_data
from tests.integration.stack.watched.searching import keep_searching

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]
WINDOW = "1m"
"""What Grafana puts in place of $__rate_interval, at one scrape in 15 seconds."""


@pytest.fixture(scope="module")
def prometheus(deployment: Deployment) -> Iterator[httpx.Client]:
    # Without Grafana, of which there is no image here and no package to make one of.
    deployment.compose("--profile", "monitoring", "up", "-d", "--no-build", "--no-deps", "prometheus")
    reader = httpx.Client(base_url=API, timeout=60, trust_env=False)
    reader.headers["authorization"] = f"Bearer {deployment.tejido('token')['access_token']}"
    done = threading.Event()
    searching = threading.Thread(target=keep_searching, args=(reader, done))
    with reader, httpx.Client(base_url=f"http://127.0.0.1:{PORTS['PROMETHEUS_PORT']}", trust_env=False) as client:
        until(lambda: is_ready(client), within_s=60, otherwise=lambda: deployment.log("prometheus"))
        searching.start()
        try:
            yield client
        finally:
            done.set()
            searching.join()


def test_every_service_that_has_metrics_is_read(prometheus: httpx.Client) -> None:
    until(lambda: samples(prometheus, "up") == [1, 1], within_s=60, otherwise=lambda: samples(prometheus, "up"))


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_every_query_of_a_dashboard_returns_data(prometheus: httpx.Client, dashboard: Path) -> None:
    def empty() -> list[tuple[str, str]]:
        return without_data(prometheus, dashboard, WINDOW)

    until(lambda: not empty(), within_s=90, otherwise=empty)
