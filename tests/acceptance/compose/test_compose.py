"""docker-compose.yaml on a real engine: started, used, looked at from a client's side, extended, stopped, started.

Half an hour with everything to build, so it has a run of its own: `make containers`. Tests stand in a life's order.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.acceptance.compose.deployment import PORTS, Deployment, unwell, wait_until
from tests.acceptance.compose.engine import run
from tests.acceptance.compose.use import CATALOGUE, follow, search_when_ready, trigger

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1500)]
HEALTHY_S = 300.0
CLIENT_SIDE = ("supernode-aurora", "clientapps-aurora", "store-aurora")
OUT_OF_REACH = ("postgres:5432", "superlink:8000", "mlflow:5000", "store:9000", "store-boreal:9000", "gate-boreal:9000")
# All at once: a name that nobody answers for takes the resolver many seconds.
LOOK = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor

def reached(place):
    host, _, port = place.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True

places = sys.argv[1:]
with ThreadPoolExecutor(len(places)) as threads:
    print(*(place for place, found in zip(places, threads.map(reached, places)) if found))
"""
ASK = """
import ssl, urllib.error, urllib.request
context = ssl.create_default_context(cafile="/run/tejido/ca.pem")
others = ("/v1/control/list-runs", "/v1/runtime/acquire-task", "/v1/fleet/../control/list-runs", "/health")
alike = ("/v1/fleet/", "/v1//fleet/pull-messages", "/v1/fleet%2fpull-messages", "/v1/fleet/pull-messages?x")
for path in others + alike:
    try:
        request = urllib.request.Request("https://gate-aurora:8000" + path, data=b"")
        print(urllib.request.urlopen(request, context=context).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


def test_everything_is_healthy_within_five_minutes(deployment: Deployment) -> None:
    began = time.monotonic()
    deployment.up()
    left = HEALTHY_S - (time.monotonic() - began)
    wait_until("all healthy", lambda: not unwell(deployment.health()), within_s=left)
    assert len(deployment.health()) > 30


def test_a_run_through_airflow_ends_with_a_champion_and_an_answered_search(
    deployment: Deployment, airflow: httpx.Client, token: str
) -> None:
    assert follow(airflow, "catalog_etl", trigger(airflow, "catalog_etl", CATALOGUE)) == "success"
    assert follow(airflow, "federated_finetune", trigger(airflow, "federated_finetune", {"rounds": 2})) == "success"
    versions = deployment.tejido("model", "list")["versions"]
    assert any("champion" in version["aliases"] for version in versions)
    wait_until("the index is live", lambda: deployment.tejido("index", "status")["live"], within_s=180, every_s=5)
    assert len(search_when_ready(token)) == 3


@pytest.mark.parametrize("service", ["supernode-aurora", "clientapps-aurora"])
def test_a_client_reaches_nothing_of_others(deployment: Deployment, service: str) -> None:
    addresses = [
        f"{network['IPAddress']}:{port}"
        for other, port in (("postgres", 5432), ("superlink", 8000), ("mlflow", 5000), ("store-boreal", 9000))
        for network in deployment.inspect(other)["NetworkSettings"]["Networks"].values()
    ]
    reached = deployment.execute(service, "python", "-c", LOOK, *OUT_OF_REACH, *addresses, "gate-aurora:8000")
    assert reached.stdout.split() == ["gate-aurora:8000"], reached.stderr


def test_a_gate_passes_on_the_fleets_api_alone(deployment: Deployment) -> None:
    assert deployment.execute("supernode-aurora", "python", "-c", ASK).stdout.split() == ["403"] * 8


def test_ports_are_published_on_this_machine_only(deployment: Deployment) -> None:
    published = {
        (binding["HostIp"], int(binding["HostPort"]))
        for service in deployment.health()
        for bindings in (deployment.inspect(service)["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    }
    expected = {PORTS[name] for name in PORTS if not name.startswith(("PROMETHEUS", "GRAFANA"))}
    assert published == {("127.0.0.1", port) for port in expected}


def test_a_fourth_client_takes_part_while_everything_runs(deployment: Deployment, airflow: httpx.Client) -> None:
    before = {service: deployment.inspect(service)["Id"] for service in deployment.health()}
    override = deployment.folder / "docker-compose.duna.yaml"
    compose = deployment.folder / "docker-compose.yaml"
    compose.write_text(Path("docker-compose.yaml").read_text())
    run(sys.executable, "-m", "cli.main", "client", "add", "duna", "--compose", "--file", str(compose))
    deployment.files.append(str(override))
    deployment.up()
    wait_until("all healthy", lambda: not unwell(deployment.health()), within_s=HEALTHY_S)
    stays = {service for service in before if not service.startswith(("setup", "enrol", "databases", "airflow-init"))}
    assert {service: deployment.inspect(service)["Id"] for service in stays} == {s: before[s] for s in stays}
    assert follow(airflow, "catalog_etl", trigger(airflow, "catalog_etl", CATALOGUE)) == "success"
    run_id = trigger(airflow, "federated_finetune", {"rounds": 1})
    assert follow(airflow, "federated_finetune", run_id) == "success"
    last = deployment.tejido("federation", "status", run_id)["rounds"][-1]
    assert sorted(last["coverage"]) == ["aurora", "boreal", "cobre", "duna"]


def test_down_and_up_again_keeps_champion_index_and_users(deployment: Deployment, token: str) -> None:
    before = deployment.tejido("model", "list"), deployment.tejido("index", "status")["live"]
    deployment.down()
    deployment.up()
    wait_until("all healthy", lambda: not unwell(deployment.health()), within_s=HEALTHY_S)
    assert (deployment.tejido("model", "list"), deployment.tejido("index", "status")["live"]) == before
    assert len(search_when_ready(token)) == 3
