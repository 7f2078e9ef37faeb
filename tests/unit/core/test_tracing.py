"""Whether and where spans are sent. In processes of their own: a process chooses that once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
from core.settings import load_settings
from core.tracing import is_traced, span, start_tracing, trace_id
start_tracing("tejido-test", load_settings())
with span("a small work", is_call=True, search_kind="text"):
    print(is_traced(), trace_id())
try:
    with span("a work that fails"):
        raise ValueError("secret wish")
except ValueError:
    pass
"""


class Collector(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        self.received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def received() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A collector's URL, and what it was sent."""
    handler = type("Keeping", (Collector,), {"received": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.received  # type: ignore[attr-defined]
        server.shutdown()


def run(**variables: str) -> list[str]:
    """What the program says, with nothing else of OpenTelemetry or Tejido in its environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "TEJIDO_"))}
    environment = {**kept, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **variables}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()


@pytest.mark.parametrize("variable", ["TEJIDO_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_spans_go_to_the_collector_that_is_named(variable: str, received: tuple[str, list[tuple[str, bytes]]]) -> None:
    url, requests = received
    is_traced, trace = run(**{variable: url})
    assert is_traced == "True"
    assert len(trace) == 32
    sent = b"".join(body for _, body in requests)
    assert {path for path, _ in requests} == {"/v1/traces"}
    assert all(word in sent for word in (b"a small work", b"search.kind", b"ValueError"))
    assert b"secret wish" not in sent


def test_without_a_collector_nothing_is_recorded() -> None:
    assert run() == ["False", "None"]


def test_a_collector_that_is_gone_stops_nobody() -> None:
    is_traced, _ = run(TEJIDO_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert is_traced == "True"
