"""One more client for a deployment in containers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from core.errors import ClientNameInvalid
from core.limits import NO_LIMIT
from deployment.errors import ClientExists, ComposeFileUnreadable
from deployment.override import client_override, write_override

COMPOSE = Path(__file__).resolve().parents[3] / "docker-compose.yaml"


def test_a_new_client_has_what_the_others_have() -> None:
    whole, added = yaml.safe_load(COMPOSE.read_text()), yaml.safe_load(client_override(COMPOSE, "duna"))
    for kind in ("services", "networks", "volumes"):
        like = {key.replace("boreal", "duna"): body for key, body in whole[kind].items() if key.endswith("-boreal")}
        assert set(added[kind]) == set(like)
    assert added["services"]["supernode-duna"]["networks"] == ["client-duna"]


def test_nothing_of_the_client_that_it_is_made_like_is_left() -> None:
    assert "aurora" not in client_override(COMPOSE, "duna").split("\n", 2)[2]


def test_no_service_that_runs_is_touched() -> None:
    whole, added = yaml.safe_load(COMPOSE.read_text()), yaml.safe_load(client_override(COMPOSE, "duna"))
    assert not set(whole["services"]) & set(added["services"])


@pytest.mark.parametrize("name", ["api", "coordinator", "worker"])
def test_a_client_shares_no_volume_and_no_secret_with_the_platform(name: str) -> None:
    with pytest.raises(ClientNameInvalid):
        client_override(COMPOSE, name)


def test_what_a_client_would_share_is_named_whatever_it_is(tmp_path: Path) -> None:
    whole = yaml.safe_load(COMPOSE.read_text())
    whole["volumes"]["cache-duna"] = {}
    path = tmp_path / "docker-compose.yaml"
    path.write_text(yaml.safe_dump(whole))
    with pytest.raises(ClientExists, match="cache-duna"):
        client_override(path, "duna")


def test_the_file_stands_beside_the_compose_file(tmp_path: Path) -> None:
    compose = tmp_path / "docker-compose.yaml"
    compose.write_text(COMPOSE.read_text())
    path, is_changed = write_override(compose, "duna")
    assert is_changed
    assert write_override(compose, "duna") == (path, False)
    assert path == tmp_path / "docker-compose.duna.yaml"
    assert "docker compose -f docker-compose.yaml -f docker-compose.duna.yaml" in path.read_text()


def enrols(path: Path) -> list[str]:
    """What the file says of the client's limit."""
    return list(yaml.safe_load(path.read_text())["services"]["enrol-duna"]["command"][4:])


def test_a_limit_stays_where_nothing_is_said_of_it_and_can_be_taken_away(tmp_path: Path) -> None:
    compose = tmp_path / "docker-compose.yaml"
    compose.write_text(COMPOSE.read_text())
    path, _ = write_override(compose, "duna")
    assert enrols(path) == []
    assert write_override(compose, "duna", limit=7)[1]
    assert write_override(compose, "duna") == (path, False)
    assert enrols(path) == ["--max-examples", "7"]
    assert write_override(compose, "duna", limit=NO_LIMIT)[1]
    assert write_override(compose, "duna") == (path, False)
    assert enrols(path) == ["--no-max-examples"], "the platform keeps a limit of which nothing is said"


@pytest.mark.parametrize("text", ["a: [", "services: {}", "services: {enrol-duna: {command: [--max-examples]}}"])
def test_a_limit_that_cannot_be_read_is_not_guessed_and_can_be_said_again(tmp_path: Path, text: str) -> None:
    compose = tmp_path / "docker-compose.yaml"
    compose.write_text(COMPOSE.read_text())
    path = tmp_path / "docker-compose.duna.yaml"
    path.write_text(text)
    with pytest.raises(ComposeFileUnreadable, match=r"docker-compose\.duna\.yaml does not say"):
        write_override(compose, "duna")
    assert path.read_text() == text
    write_override(compose, "duna", limit=7)
    assert enrols(path) == ["--max-examples", "7"]


def test_a_client_that_is_there_is_refused() -> None:
    with pytest.raises(ClientExists, match="boreal"):
        client_override(COMPOSE, "boreal")


@pytest.mark.parametrize("name", ["", "Duna", "a b", "../x", "-a", "x" * 60])
def test_a_name_that_cannot_be_a_host_is_refused(name: str) -> None:
    with pytest.raises(ClientNameInvalid):
        client_override(COMPOSE, name)
    with pytest.raises(ClientNameInvalid):
        write_override(COMPOSE, name)


@pytest.mark.parametrize("text", ["", "services: {}", "a: [", "- 1"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "docker-compose.yaml"
    path.write_text(text)
    with pytest.raises(ComposeFileUnreadable, match="docker-compose"):
        client_override(path, "duna")
    with pytest.raises(ComposeFileUnreadable):
        client_override(tmp_path / "missing.yaml", "duna")
