"""Every service of docker-compose.yaml is hardened, checked, limited and pinned: one rule a test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENDS_BY_ITSELF = {name for name, body in SERVICES.items() if body["restart"] == "no"}
STAYS = sorted(set(SERVICES) - ENDS_BY_ITSELF)
ROOT_WITHOUT_NETWORK = {name for name in SERVICES if name == "setup" or name.startswith("setup-")}
WORD = re.compile(r"password|secret|token|key|credential", re.IGNORECASE)

each_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_that_stays = pytest.mark.parametrize("name", STAYS)


def defaults() -> dict[str, str]:
    lines = (line.partition("=") for line in (ROOT / ".env.example").read_text().splitlines() if "=" in line)
    return {name: value for name, _, value in lines if not name.startswith("#")}


def with_defaults() -> list[tuple[str, str]]:
    """Variables and the defaults that the compose files give them."""
    texts = ((ROOT / file).read_text() for file in ("docker-compose.yaml", "docker/gpu.yaml"))
    return [pair for text in texts for pair in re.findall(r"\$\{(\w+):?-([^}]*)\}", text)]


@each_service
def test_it_runs_as_an_ordinary_user(name: str) -> None:
    user = SERVICES[name]["user"].split(":")[0]
    if name in ROOT_WITHOUT_NETWORK:
        assert SERVICES[name]["network_mode"] == "none"
    else:
        assert user in ("10001", "${AIRFLOW_UID"), user


@each_service
def test_it_has_no_capabilities(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    added = set(SERVICES[name].get("cap_add", []))
    assert added == ({"CHOWN", "DAC_OVERRIDE", "FOWNER"} if name in ROOT_WITHOUT_NETWORK else set())


@each_service
def test_it_cannot_gain_privileges(name: str) -> None:
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert not SERVICES[name].get("privileged")


@each_service
def test_its_file_system_is_read_only(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert any(entry.startswith("/tmp:") and "size=" in entry for entry in SERVICES[name]["tmpfs"])


@each_service
def test_it_is_limited(name: str) -> None:
    body = SERVICES[name]
    assert body["pids_limit"] > 0
    assert body["cpus"] > 0
    assert re.fullmatch(r"\d+[mg]", body["mem_limit"])
    assert body["logging"]["options"]["max-size"]


@each_that_stays
def test_it_is_checked_for_health(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(check)


@each_service
def test_its_image_is_pinned(name: str) -> None:
    variable, default = re.fullmatch(r"\$\{(\w+):-(.+)\}", SERVICES[name]["image"]).groups()  # type: ignore[union-attr]
    assert defaults()[variable] == default
    assert re.search(r":[^:/]*\d[^:/]*$", default), "no version in its tag"


@each_service
def test_its_ports_are_this_machines_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:${") for port in SERVICES[name].get("ports", []))


@each_service
def test_it_never_sees_docker(name: str) -> None:
    mounts = SERVICES[name].get("volumes", [])
    assert not [mount for mount in mounts if "docker.sock" in mount]


@each_service
def test_no_secret_stands_in_its_environment(name: str) -> None:
    environment: Mapping[str, str] = SERVICES[name].get("environment", {})
    telling = {key: value for key, value in environment.items() if WORD.search(key)}
    assert all(re.match(r"(cat )?/|airflow\.|\{|false$", str(value)) for value in telling.values()), telling


@each_service
def test_what_it_is_told_is_read_only_and_nobody_elses(name: str) -> None:
    mounts = [mount for mount in SERVICES[name].get("volumes", []) if mount.startswith("config-")]
    if name in ROOT_WITHOUT_NETWORK:
        return
    assert all(mount.endswith(":ro") for mount in mounts)
    shared = {"config-airflow", "config-operator", "config-worker"}
    for volume in {mount.split(":")[0] for mount in mounts} - shared:
        users = {
            other
            for other, body in SERVICES.items()
            if any(m.startswith(f"{volume}:") for m in body.get("volumes", []))
        }
        assert users - ROOT_WITHOUT_NETWORK == {name}


@each_service
def test_only_gates_are_on_two_sides(name: str) -> None:
    networks = set(SERVICES[name].get("networks", []))
    clients = {network for network in networks if network.startswith("client-")}
    if name.startswith("gate-"):
        assert networks == {name.replace("gate", "client"), "platform"}
    elif clients:
        assert networks == {f"client-{name.split('-')[-1]}"}


def test_networks_lead_nowhere_but_the_one_that_publishes() -> None:
    outer = {name for name, body in COMPOSE["networks"].items() if not (body or {}).get("internal")}
    assert outer == {"front"}


@each_service
def test_all_that_it_waits_for_has_its_profiles(name: str) -> None:
    """Compose refuses a service whose needs are not chosen."""
    for other in SERVICES[name].get("depends_on", {}):
        assert set(SERVICES[name]["profiles"]) <= set(SERVICES[other]["profiles"]), other


@each_service
def test_another_file_beside_this_one_recreates_nothing(name: str) -> None:
    """docker-compose 1.29 sorts these lists once it merges files; another order looks to it like a change."""
    body = SERVICES[name]
    targets = [re.sub(r"\$\{[^}]*\}", "", volume).split(":")[1] for volume in body.get("volumes", [])]
    assert targets == sorted(targets)
    assert body["profiles"] == sorted(body["profiles"])


def test_every_default_stands_in_the_example_of_env() -> None:
    assert dict(with_defaults()) == defaults()


def test_every_variable_of_the_example_is_used_once_with_one_default() -> None:
    pairs = set(with_defaults())
    assert len({name for name, _ in pairs}) == len(pairs)


def test_with_gpus_whatever_trains_or_evaluates_has_them_and_nothing_else_changes() -> None:
    services = yaml.safe_load((ROOT / "docker" / "gpu.yaml").read_text())["services"]
    trains = {name for name in SERVICES if name.startswith("clientapps-")} | {"coordinator"}
    assert set(services) == trains | {"setup"}
    for name in trains:
        (devices,) = services[name]["deploy"]["resources"]["reservations"]["devices"]
        assert (devices["driver"], devices["capabilities"]) == ("nvidia", ["gpu"])
        assert set(services[name]) == {"deploy", "environment"}
    assert set(services["setup"]["build"]["args"]) <= set(SERVICES["setup"]["build"]["args"])
