"""A client on a network of its own: it reaches the Fleet API through the gate, and nothing else of the platform.

A network namespace of Linux is another machine's network, as far as TCP goes: its loopback interface is its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from embedded.clients import Clients
from embedded.stack import Stack
from server.flower import PROGRAMS, Flower, flower_environment
from tests.integration.clients.conftest import NAMESPACE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
VISITOR = """\
import json, ssl, sys, http.client
told = json.loads(sys.argv[1])
said = {}
for name, (host, port, tls, method, path) in told.items():
    try:
        if tls:
            context = ssl.create_default_context(cafile=sys.argv[2])
            connection = http.client.HTTPSConnection(host, port, timeout=3, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=3)
        connection.request(method, path, body=b"" if method == "POST" else None)
        answer = connection.getresponse()
        said[name] = [answer.status, answer.read(200).decode(errors="replace")]
    except OSError as error:
        said[name] = [0, type(error).__name__]
print(json.dumps(said))
"""


@dataclass(frozen=True)
class Away:
    """A network without a way to anything but the gate's address."""

    stack: Stack

    def visit(self, asked: dict[str, tuple[str, int, bool, str, str]]) -> dict[str, tuple[int, str]]:
        """What each request is answered from there: status (0: no connection) and the beginning of the text."""
        authority = self.stack.state.root / "tls" / "ca.pem"
        command = ["ip", "netns", "exec", NAMESPACE, sys.executable, "-c", VISITOR, json.dumps(asked), str(authority)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        return {name: (status, text) for name, (status, text) in json.loads(done.stdout).items()}


@pytest.fixture
def away(stack: Stack) -> Away:
    if "Gate" not in stack.urls:
        pytest.skip("no network namespace can be made here: that takes Linux, root and iproute2")
    return Away(stack)


def test_the_fleet_api_is_reached_and_nothing_else_is(stack: Stack, away: Away) -> None:
    gate = urlsplit(stack.urls["Gate"])
    assert gate.hostname is not None
    assert gate.port is not None
    through = (gate.hostname, gate.port, True)
    ports = {name: urlsplit(url).port or 0 for name, url in stack.urls.items()}
    asked: dict[str, tuple[str, int, bool, str, str]] = {
        "fleet": (*through, "POST", "/v1/fleet/pull-messages"),
        "control": (*through, "POST", "/v1/control/list-nodes"),
        "around": (*through, "POST", "/v1/fleet/%2e%2e/control/list-nodes"),
        "dots": (*through, "POST", "/v1/fleet/../control/list-nodes"),
        "health": (*through, "GET", "/health"),
    }
    for name, port in ports.items():
        if name != "Gate":
            tls = name == "Flower SuperLink"
            asked[f"{name} there"] = (gate.hostname, port, tls, "GET", "/")
            asked[f"{name} here"] = ("127.0.0.1", port, tls, "GET", "/")
    said = away.visit(asked)
    # The SuperLink itself answers: it takes nobody who does not prove to be a node.
    status, text = said.pop("fleet")
    assert 400 <= status < 500
    assert text != "Only the Fleet API is here."
    for name in ("control", "around", "dots", "health"):
        assert said.pop(name) == (403, "Only the Fleet API is here.")
    assert len(said) >= 12
    assert {status for status, _ in said.values()} == {0}


def test_the_control_api_would_answer_where_no_gate_stands(stack: Stack) -> None:
    """Guards the test above: on the operator's side the same request is answered."""
    assert {node.name for node in Flower.of(stack.settings()).named_nodes()} >= {"aurora", "boreal"}


@pytest.fixture
def estela(stack: Stack, away: Away, tmp_path: Path) -> Path:
    """The folder of a client that runs elsewhere."""
    return Clients(stack.state).add("estela", is_elsewhere=True, out=tmp_path / "estela").folder


@contextmanager
def supernode(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Its SuperNode, running elsewhere by the words of its folder's README, and its log."""
    text = (folder / "README.md").read_text()
    words = text[text.index("flower-supernode") :].split("\nFLWR_HOME")[0].replace("\\\n", " ").split()
    command = ["ip", "netns", "exec", NAMESPACE, str(PROGRAMS / words[0]), *words[1:]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEJIDO_")}
    path = folder.parent / "log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=flower_environment(folder / "flwr", environment), stdout=log, stderr=log
        )
    try:
        yield process, path
    finally:
        process.terminate()
        process.wait(20)


def statuses(stack: Stack) -> list[str]:
    return [node.status for node in Flower.of(stack.settings()).named_nodes() if node.name == "estela"]


def test_a_supernode_joins_from_there_by_what_its_folder_says_until_its_key_is_replaced(
    stack: Stack, estela: Path
) -> None:
    with supernode(estela) as (_, log):
        until = time.monotonic() + 60
        while statuses(stack) != ["online"]:
            assert time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.5)
    lost = (estela / "node.key").read_text()
    Clients(stack.state).rotate("estela", out=estela)
    assert statuses(stack) == ["unregistered", "registered"]
    (estela / "node.key").write_text(lost)
    with supernode(estela) as (process, log):
        assert process.wait(60) != 0, log.read_text()[-2000:]
