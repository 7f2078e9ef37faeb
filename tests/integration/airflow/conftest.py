"""One stack with Airflow that all its tests share: it takes longer to start than most tests take."""

from __future__ import annotations

import http.server
import json
import secrets
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.airflow import Airflow
from core.settings import Settings
from embedded.stack import Stack


class Ear(http.server.BaseHTTPRequestHandler):
    """Takes one post."""

    def do_POST(self) -> None:
        """Keep it."""
        posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heard.append(posted)  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


class Listener(http.server.ThreadingHTTPServer):
    """Whoever wants to hear of failures; ``heard`` is what was posted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Ear)
        self.heard: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook?token={secrets.token_urlsafe()}"


@pytest.fixture(scope="package")
def listener() -> Iterator[Listener]:
    with Listener() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="package")
def airflow_stack(listener: Listener) -> Iterator[Stack]:
    """Everything; with a nightly schedule, as a backfill needs one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEJIDO_FINETUNE_SCHEDULE", "0 2 * * *")
        patch.setenv("TEJIDO_NOTIFY_URL", listener.url)
        with (
            tempfile.TemporaryDirectory(prefix="tejido-test-") as folder,
            Stack(Path(folder), ["a", "b"]) as stack,
        ):
            yield stack


@pytest.fixture(scope="package")
def settings(airflow_stack: Stack) -> Settings:
    return airflow_stack.settings()


@pytest.fixture(scope="package")
def airflow(settings: Settings) -> Iterator[Airflow]:
    """Its REST API, with all DAGs read."""
    password = Path(settings.required("airflow_password_file")).read_text()
    client = Airflow(settings.required("airflow_url"), username=settings.airflow_username, password=password)
    for dag_id in ("catalog_etl", "federated_finetune", "index_catalog", "housekeeping", "client_wave"):
        client.wait_for_dag(dag_id)
    yield client
    client._http.close()
