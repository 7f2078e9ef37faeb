"""What the running services let in, keep apart and hand on."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from pydantic import SecretStr
from valkey import Valkey
from valkey.exceptions import AuthenticationError

from catalog.errors import CatalogError
from catalog.objects import S3ObjectStore
from core.settings import Bucket
from embedded.memory import family
from embedded.stack import Stack
from embedded.superlink import CONNECTION
from embedded.sweep import MARK, SERVICE
from security.node_keys import node_key

pytestmark = pytest.mark.integration
PROGRAMS = Path(sys.executable).parent
CLIENTS = ("aurora", "boreal", "cobre")


def bucket_of(stack: Stack, client: str) -> Bucket:
    settings = stack.client_settings(client)
    return settings.platform_bucket(settings.required("client_bucket"))


def test_every_service_says_where_it_is_and_how_long_it_took(stack: Stack) -> None:
    names = {"PostgreSQL", "Valkey", "S3", "S3 of client-aurora", "MLflow", "Flower SuperLink", "API"}
    assert names <= set(stack.urls)
    assert names | {"total"} <= set(stack.seconds)
    described = json.loads((stack.state.run / "stack.json").read_text())
    assert described["clients"] == list(CLIENTS)
    assert all(service["pid"] for service in described["services"].values())


def test_a_client_keeps_objects_in_its_own_bucket(stack: Stack) -> None:
    store = S3ObjectStore(bucket_of(stack, "aurora"))
    store.put("partitions/one", b"mine")
    assert store.get("partitions/one") == b"mine"


@pytest.mark.parametrize(("thief", "owner"), [*itertools.permutations([*CLIENTS, "platform"], 2)])
def test_the_keys_of_one_open_nothing_of_another(stack: Stack, thief: str, owner: str) -> None:
    keys = stack.settings().platform_bucket("data") if thief == "platform" else bucket_of(stack, thief)
    target = stack.settings().platform_bucket("data") if owner == "platform" else bucket_of(stack, owner)
    store = S3ObjectStore(
        Bucket(endpoint=target.endpoint, access_key=keys.access_key, secret_key=keys.secret_key, bucket=target.bucket)
    )
    for attempt in (
        lambda: store.get("partitions/one"),
        lambda: store.put("partitions/one", b"stolen"),
        lambda: list(store.list("")),
        lambda: store.delete("partitions/one"),
    ):
        with pytest.raises(CatalogError):
            attempt()


def test_a_clients_environment_holds_no_secret_of_anybody_else(stack: Stack) -> None:
    settings = stack.client_settings("aurora")
    given = (stack.state.run / "client-aurora.env").read_text()
    others = {path for path in stack.state.secrets.glob("*") if path.is_file() and "client-aurora" not in path.name}
    assert settings.client_name == "aurora"
    assert not any(path.read_text() in given for path in others)
    assert settings.postgres_dsn is None
    assert settings.clients_file is None


def test_files_with_secrets_are_private(stack: Stack) -> None:
    private = [*stack.state.run.glob("*.env"), stack.state.run / "clients.json", stack.state.run / "valkey.conf"]
    # The folder itself is closed to others, so what is no secret may be readable: public keys, the active key's name.
    public = (".pub", "", ".keys")
    private += [path for path in stack.state.secrets.glob("*") if path.is_file()]
    private += [path for path in stack.state.secrets.glob("*/*") if path.suffix not in public]
    private.append(stack.state.secrets / "artifacts" / "wrapping.keys")
    assert stat.S_IMODE(stack.state.secrets.stat().st_mode) == 0o700
    assert len(private) > 15
    for path in private:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def command_line(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
        return " ".join(process.cmdline())
    return ""


def test_no_secret_stands_on_a_command_line(stack: Stack) -> None:
    lines = "\n".join(command_line(process) for process in family())
    secrets = [path.read_text() for path in stack.state.secrets.glob("*") if path.is_file()]
    assert len(secrets) > 8
    assert not [secret for secret in secrets if secret in lines]


def test_the_catalogues_role_opens_its_own_database_only(stack: Stack) -> None:
    dsn = stack.settings().required("postgres_dsn")
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT current_user, extname FROM pg_extension WHERE extname = 'vector'").fetchone()
        assert found == ("catalog", "vector")
    for other in ("mlflow_db", "airflow"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(dsn.rsplit("/", 1)[0] + f"/{other}")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(dsn, password="wrong")


def test_mlflow_keeps_runs_in_postgresql_and_artifacts_in_the_platforms_bucket(stack: Stack) -> None:
    settings = stack.settings()
    api = f"{settings.required('mlflow_uri')}/api/2.0"
    login = (settings.mlflow_username, Path(settings.required("mlflow_password_file")).read_text())
    with httpx.Client(trust_env=False, timeout=30, auth=login) as http:
        experiment = http.post(f"{api}/mlflow/experiments/create", json={"name": "stack test"}).json()["experiment_id"]
        run = http.post(f"{api}/mlflow/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]
        assert run["artifact_uri"].startswith("mlflow-artifacts:/")
        path = run["artifact_uri"].removeprefix("mlflow-artifacts:/").lstrip("/") + "/note.txt"
        http.put(f"{api}/mlflow-artifacts/artifacts/{path}", content=b"kept").raise_for_status()
        assert http.get(f"{api}/mlflow-artifacts/artifacts/{path}").content == b"kept"
    assert S3ObjectStore(stack.settings().platform_bucket("mlflow")).get(path) == b"kept"


def flwr(stack: Stack, *arguments: str) -> str:
    environment = {**os.environ, "FLWR_HOME": str(stack.settings().flwr_home), "FLWR_TELEMETRY_ENABLED": "0"}
    command = [str(PROGRAMS / "flwr"), *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_every_client_is_online(stack: Stack) -> None:
    listed = json.loads(flwr(stack, "supernode", "list", CONNECTION, "--format", "json"))
    assert [node["status"] for node in listed["nodes"]] == ["online"] * len(CLIENTS)


def environment_of(stack: Stack, slug: str) -> tuple[str, dict[str, str]]:
    process = psutil.Process(stack.pids[slug])
    return " ".join(process.cmdline()), process.environ()


def test_a_supernode_has_its_key_and_no_bucket_and_its_clientapps_the_bucket_and_no_key(stack: Stack) -> None:
    key = str(stack.state.secrets / "nodes" / "aurora")
    line, environment = environment_of(stack, "supernode-aurora")
    assert key in line
    assert not [name for name in environment if name.startswith("TEJIDO_") and name not in (MARK, SERVICE)]
    line, environment = environment_of(stack, "clientapps-aurora")
    assert key not in line
    assert environment["TEJIDO_ENV_FILE"] == str(stack.state.run / "client-aurora.env")


def test_a_supernode_gives_its_messages_to_nobody_without_its_secret(stack: Stack) -> None:
    url = stack.urls["Flower SuperNode of aurora"]
    with httpx.Client(trust_env=False, timeout=30) as http:
        answer = http.post(
            f"{url}/v1/runtime/acquire-task", content=b"", headers={"content-type": "application/protobuf"}
        )
    assert answer.status_code == 401


def test_a_node_that_nobody_registered_is_refused(stack: Stack, tmp_path: Path) -> None:
    key = node_key(tmp_path, "stranger")
    command = [
        *(str(PROGRAMS / "flower-supernode"), "--superlink", stack.urls["Flower SuperLink"].removeprefix("https://")),
        *("--root-certificates", str(stack.state.root / "tls" / "ca.pem"), "--port", "19999"),
        *("--auth-supernode-private-key", str(key.private)),
    ]
    environment = {**os.environ, "FLWR_HOME": str(tmp_path), "FLWR_TELEMETRY_ENABLED": "0"}
    environment |= {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    # Its executor outlives it; marked as the stack's own, it ends with the stack.
    environment[MARK] = stack.state.stack_id
    with (tmp_path / "log").open("wb") as log:
        ended = subprocess.run(command, env=environment, check=False, stdout=log, stderr=log, timeout=60)
    assert ended.returncode != 0
    assert "Exit Code: 305" in (tmp_path / "log").read_text()


def test_a_wrong_valkey_password_is_refused(stack: Stack) -> None:
    url = stack.settings().required("valkey_url")
    ours, stranger = Valkey.from_url(url), Valkey(port=int(url.rsplit(":", 1)[1].split("/")[0]), password="wrong")
    try:
        assert ours.ping()
        with pytest.raises(AuthenticationError):
            stranger.ping()
    finally:
        ours.close()  # type: ignore[no-untyped-call]
        stranger.close()  # type: ignore[no-untyped-call]


def test_settings_of_the_platform_hold_what_its_processes_need(stack: Stack) -> None:
    settings = stack.settings()
    assert isinstance(settings.s3_secret_key, SecretStr)
    assert settings.state_dir == stack.state.root
    assert settings.api_url == stack.urls["API"]
    clients = json.loads(Path(settings.required("clients_file")).read_text())
    assert [client["name"] for client in clients] == list(CLIENTS)
    assert {client["bucket"] for client in clients} == {f"client-{name}" for name in CLIENTS}
