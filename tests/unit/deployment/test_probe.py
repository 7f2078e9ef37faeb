"""The health check of the containers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deployment.probe import is_healthy

REPORT = {"scheduler": {"status": "healthy"}, "triggerer": {"status": None}}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/ill" else 200)
        self.end_headers()
        self.wfile.write(json.dumps(REPORT).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def status(*arguments: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "deployment.probe", *arguments], check=False, capture_output=True
    ).returncode


def test_an_answer_is_health(url: str) -> None:
    assert status(f"{url}/health") == 0


def test_an_error_is_none(url: str) -> None:
    assert status(f"{url}/ill") != 0


@pytest.mark.parametrize(("component", "healthy"), [("scheduler", True), ("triggerer", False), ("worker", False)])
def test_a_component_is_healthy_when_airflow_says_so(url: str, component: str, healthy: bool) -> None:
    assert is_healthy(f"{url}/health", component) is healthy


def test_a_port_that_listens_is_health_and_one_that_does_not_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert is_healthy(f"tcp://127.0.0.1:{port}")
    assert status(f"tcp://127.0.0.1:{port}") != 0
