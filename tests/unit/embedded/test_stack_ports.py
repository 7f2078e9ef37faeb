"""Ports: the usual one, or the next free one, and the same again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.errors import NoFreePort
from embedded.ports import TRIED, Ports


@pytest.fixture
def busy() -> Iterator[int]:
    """The number of a port that a foreign program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    ports = Ports(tmp_path / "ports.json")
    yield ports
    ports.release()


def test_a_taken_port_is_replaced_and_said(ports: Ports, busy: int) -> None:
    port = ports.take("Airflow", busy)
    assert port.number > busy
    assert port.notice == f"port {busy} is taken, Airflow is at {port.number}"


def test_a_free_port_is_used_without_a_word(ports: Ports, busy: int) -> None:
    free = ports.take("Airflow", busy).number
    ports.release()
    port = ports.take("MLflow", free)
    assert port.number == free
    assert port.notice is None


def test_two_services_never_share_a_port(ports: Ports, busy: int) -> None:
    first, second = ports.take("one", busy), ports.take("two", busy)
    assert first.number != second.number


def test_a_port_is_remembered(tmp_path: Path, ports: Ports, busy: int) -> None:
    number = ports.take("Airflow", busy).number
    ports.save()
    ports.release()
    again = Ports(tmp_path / "ports.json")
    assert again.take("Airflow", busy).number == number
    again.release()


def test_another_stack_is_not_given_a_port_before_its_service_listens(tmp_path: Path, ports: Ports, busy: int) -> None:
    mine = ports.take("Airflow", busy).number
    others = Ports(tmp_path / "others.json")
    assert others.take("Airflow", mine).number != mine
    others.release()


def test_no_free_port_names_the_service_and_the_range(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedded.ports.is_free", lambda number: False)
    with pytest.raises(NoFreePort, match=f"8080 to {8080 + TRIED - 1} is free for Airflow"):
        ports.take("Airflow", 8080)
