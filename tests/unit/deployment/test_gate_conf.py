"""The containers' gate as nginx runs it: it passes on what the embedded stack's gate does, and no more."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deployment.clients import GATE
from embedded.gate_app import may_pass
from security.certificates import server_certificate
from tests.unit.embedded.test_gate import REFUSED

NGINX = os.environ.get("TEJIDO_TEST_NGINX") or shutil.which("nginx")
PASSED = "/v1/fleet/pull-messages"
METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")
pytestmark = pytest.mark.skipif(NGINX is None, reason="this machine has no nginx, and TEJIDO_TEST_NGINX names none")


@dataclass
class Gate:
    """A running nginx, and what the SuperLink behind it heard."""

    port: int
    authority: Path
    heard: list[str] = field(default_factory=list)

    def asked(self, method: str, path: str) -> int:
        """The status of a request whose path is sent as it is written."""
        context = ssl.create_default_context(cafile=str(self.authority))
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="gate-duna") as line,
        ):
            line.sendall(f"{method} {path} HTTP/1.1\r\nHost: gate-duna\r\nContent-Length: 0\r\n\r\n".encode())
            return int(line.recv(4096).split()[1])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("gate")
    superlink = server_certificate(folder / "superlink", ["superlink"], signed_by=folder)
    own = server_certificate(folder, ["gate-duna"])
    found = Gate(free_port(), own.authority)

    class SuperLink(BaseHTTPRequestHandler):
        def answer(self) -> None:
            found.heard.append(f"{self.command} {self.path}")
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

    for method in ("POST", *METHODS):
        setattr(SuperLink, f"do_{method}", SuperLink.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), SuperLink)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(superlink.certificate, superlink.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    text = GATE.read_text()
    for ours, theirs in {
        "/tmp/": f"{folder}/",
        "listen 8000": f"listen 127.0.0.1:{found.port}",
        "listen 9000": f"listen 127.0.0.1:{free_port()}",
        "superlink:8000": f"127.0.0.1:{server.server_port}",
        "/run/tejido/": f"{folder}/",
        "@STORE@": "store-duna",
    }.items():
        assert ours in text
        text = text.replace(ours, theirs)
    (folder / "nginx.conf").write_text(text)
    log = folder / "nginx.log"
    with log.open("wb") as stream:
        command = [str(NGINX), "-c", str(folder / "nginx.conf"), "-e", "stderr", "-g", "daemon off;"]
        nginx = subprocess.Popen(command, stderr=stream)
    try:
        until = time.monotonic() + 10
        while not listens(found.port):
            assert nginx.poll() is None, log.read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield found
    finally:
        nginx.terminate()
        nginx.wait(10)
        server.shutdown()
        server.server_close()


# As they can stand in a request line; nginx takes an absolute URL for its path, which is a right one there.
@pytest.mark.parametrize("path", [path for path in REFUSED if path[0] == "/" and path.isascii() and path.isprintable()])
def test_the_superlink_hears_of_no_path_that_the_other_gate_refuses(gate: Gate, path: str) -> None:
    gate.heard.clear()
    assert gate.asked("POST", path) in (400, 403)
    assert gate.heard == []


@pytest.mark.parametrize("method", METHODS)
def test_no_other_method_and_no_query_passes(gate: Gate, method: str) -> None:
    gate.heard.clear()
    assert gate.asked(method, PASSED) in (403, 405)
    assert gate.asked("POST", f"{PASSED}?a=1") == 403
    assert gate.heard == []


def test_the_fleet_api_passes_as_it_came(gate: Gate) -> None:
    assert may_pass("POST", PASSED.encode(), b"")
    gate.heard.clear()
    assert gate.asked("POST", PASSED) == 202
    assert gate.heard == [f"POST {PASSED}"]
