"""The API's server as it is really started, before an app that tells who asks: nobody chooses the address they have."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from embedded.api import Api
from embedded.ports import Port
from embedded.state import StateFolder

ROOT = Path(__file__).resolve().parents[3]
CHOSEN = "198.51.100.7"
HEADERS = {"X-Forwarded-For": CHOSEN, "X-Forwarded-Proto": "https"}


async def telling(scope: dict[str, Any], receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """An ASGI app that answers with the address of whoever asks."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["client"][0].encode()})


def make() -> object:
    return telling


def embedded(tmp_path: Path, port: int) -> list[str]:
    state = StateFolder.at(tmp_path / "state")
    command = Api(state=state, port=Port("API", port, port), api_env=tmp_path / "api.env").command()
    return list(command.arguments[3:])


def in_containers(port: int, proxies: str) -> list[str]:
    command: list[str] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]["api"]["command"]
    told = [re.sub(r"\$\{API_PROXIES:-\}", proxies, word) for word in command[1:]]
    assert not [word for word in told if "$" in word]
    return [{"0.0.0.0": "127.0.0.1", "8800": str(port)}.get(word, word) for word in told]


@contextmanager
def served(arguments: Sequence[str], port: int) -> Iterator[str]:
    own = [f"{__name__}:make" if word == "api.app:create_app" else word for word in arguments]
    assert own != list(arguments)
    server = subprocess.Popen([sys.executable, "-m", "uvicorn", *own], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
            yield client.get(f"http://127.0.0.1:{port}/", headers=HEADERS).text
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_nobody_is_believed_in_the_embedded_stack(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    with served(embedded(tmp_path, port), port) as address:
        assert address == "127.0.0.1"


@pytest.mark.parametrize(
    ("proxies", "address"),
    [("", "127.0.0.1"), ("192.0.2.0/24,192.0.3.1", "127.0.0.1"), ("127.0.0.0/8", CHOSEN)],
)
def test_a_proxy_is_believed_in_containers_where_the_operator_names_it(port: int, proxies: str, address: str) -> None:
    with served(in_containers(port, proxies), port) as found:
        assert found == address
