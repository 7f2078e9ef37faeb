"""Every query of every dashboard returns data from a stack that has trained and is searched."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from core.settings import Settings
from embedded.stack import Stack
from tests.integration.stack.watched.scraping import (
    CONFIG,
    DASHBOARDS,
    ROOT,
    adapted,
    prometheus,
    samples,
    until,
    without_data,
)
from tests.integration.stack.watched.searching import keep_searching

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def program() -> str:
    """Debian's Prometheus. Continuous integration installs it; who has none is told how to."""
    found = shutil.which("prometheus")
    if found is None and os.environ.get("CI"):
        subprocess.run([ROOT / "scripts" / "apt.sh", "prometheus"], check=True)
        found = shutil.which("prometheus")
    return found or pytest.skip("Prometheus is not installed: scripts/apt.sh prometheus")


@pytest.fixture(scope="module")
def exporter(stack: Stack, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`tejido metrics serve`, as an operator starts it: host and port."""
    port = free_port()
    command = [sys.executable, "-m", "cli.main", "metrics", "serve", "--port", str(port)]
    log = tmp_path_factory.mktemp("exporter-log") / "log"
    environment = {**os.environ, "TEJIDO_ENV_FILE": str(stack.platform_env)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        headers = {"Authorization": f"Bearer {settings.metrics_token()}"}

        def has_read_all() -> bool:
            try:
                text = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers, timeout=5).text
            except httpx.TransportError:
                return False
            return all(f'tejido_monitoring_source_up{{source="{name}"}} 1.0' in text for name in SOURCES)

        until(has_read_all, within_s=60, otherwise=log.read_text)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


SOURCES = ("runs", "index", "models", "superlink")


@pytest.fixture(scope="module")
def scraped(
    program: str, settings: Settings, reader: httpx.Client, exporter: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A Prometheus that has read both processes while somebody searched."""
    assert settings.metrics_token_file is not None
    targets = {"api:8800": urlsplit(settings.required("api_url")).netloc, "metrics:9400": exporter}
    config = adapted(targets, settings.metrics_token_file)
    port = free_port()
    done = threading.Event()
    searching = threading.Thread(target=keep_searching, args=(reader, done))
    with prometheus(program, config, tmp_path_factory.mktemp("prometheus"), port) as client:
        searching.start()
        try:
            # Two scrapes at least, or there is no rate.
            enough = "count_over_time(up[1m]) >= 5"
            until(lambda: len(samples(client, enough)) == 2, within_s=30, otherwise=lambda: samples(client, "up"))
            yield client
        finally:
            done.set()
            searching.join()


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_every_query_of_the_dashboard_returns_data(scraped: httpx.Client, dashboard: Path) -> None:
    def empty() -> list[tuple[str, str]]:
        return without_data(scraped, dashboard)

    until(lambda: not empty(), within_s=20, otherwise=empty)


def test_figures_are_those_of_the_run(scraped: httpx.Client, shared_run: dict[str, Any]) -> None:
    rounds = {
        round_["round"]: samples(scraped, f'tejido_round_recall_at_10{{round="{round_["round"]}"}}')
        for round_ in shared_run["rounds"]
    }
    assert rounds == {entry["round"]: [pytest.approx(entry["recall_at_10"])] for entry in shared_run["rounds"]}
    assert samples(scraped, 'sum(tejido_client_updates{outcome="accepted"})') == [6]
    assert samples(scraped, "sum(tejido_client_bytes) - sum(tejido_round_bytes)") == [0]
    assert samples(scraped, 'tejido_supernodes{state="online"}') == [3]
    recall = shared_run["recall_at_10"]["challenger"]
    assert samples(scraped, 'tejido_model_recall_at_10{alias="champion"}') == [pytest.approx(recall)]


def test_who_has_no_token_reads_nothing(settings: Settings, reader: httpx.Client, exporter: str) -> None:
    for url in (f"{settings.required('api_url')}/metrics", f"http://{exporter}/metrics"):
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"Authorization": reader.headers["Authorization"]}).status_code == 401


def test_what_is_scraped_holds_no_words(scraped: httpx.Client, settings: Settings, exporter: str) -> None:
    headers = {"Authorization": f"Bearer {settings.metrics_token()}"}
    for url in (f"{settings.required('api_url')}/metrics", f"http://{exporter}/metrics"):
        text = httpx.get(url, headers=headers).text
        assert not any(word in text for word in ("shoes", "dress", "checked", "ana"))


def test_prometheus_accepts_the_deployment_s_own_file(program: str) -> None:
    tool = Path(program).with_name("promtool")
    done = subprocess.run(
        [tool, "check", "config", "--syntax-only", CONFIG], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
