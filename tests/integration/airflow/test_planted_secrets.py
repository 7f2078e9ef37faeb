"""Every secret of a stack that works and fails, looked for wherever somebody may read: it is in no such place.

Searched are the command lines of all processes while a pipeline runs, every file of the state folder (logs of all
services and tasks, S3 objects; not those of PostgreSQL), every row of every database (Airflow's rendered templates and
XComs, MLflow's parameters and tags), and what commands and servers say when an address or a password is wrong.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from cli.airflow import Airflow
from cli.session import ADMIN_PASSWORD
from core.environment import environment_text
from core.files import write_secret
from core.settings import Settings
from deployment.stores import ensure_admin
from embedded.stack import Stack
from tests.integration.airflow.conftest import Listener
from tests.integration.airflow.test_dags import ended, runs_made_by, succeeded
from tests.integration.airflow.test_processes import log_in
from tests.planted import Scanner, secret_files, secrets_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
PROGRAMS = Path(sys.executable).parent
LOOK_EVERY_S = 0.05
HOLDERS = re.compile(
    r"secrets/.*|run/(platform|api|client-\w+)\.env|run/(clients|readers)\.json|run/valkey\.conf"
    r"|airflow/(airflow\.cfg|passwords\.json)|mlflow/login\.ini|tls/\w+\.key"
)
"""Below the state folder: the files that exist to hold secrets, each for its owner alone."""
JWT = re.compile(rb"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}")
DATABASES = ("catalog", "mlflow_db", "airflow")
CODE = """
from cli.output import show_error
from core.errors import TejidoError
from core.settings import settings
try:
    {}
except TejidoError as error:
    show_error(error)
"""
WRONG = "a-wrong-but-real-password"


class CommandLines(threading.Thread):
    """Remembers the command line of every process of the machine that lived long enough to be seen."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(LOOK_EVERY_S):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    self.seen.add((process / "cmdline").read_bytes())
                except OSError:  # it has just ended
                    continue

    def stop(self) -> set[bytes]:
        self._done.set()
        self.join()
        return self.seen


@dataclass
class Evidence:
    """What was done, with what, and what was said meanwhile."""

    used: dict[str, str]
    """Passwords and tokens that are in no file."""
    lines: set[bytes] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)
    """What was tried → what came of it."""


@pytest.fixture(scope="module")
def evidence(
    airflow_stack: Stack,
    airflow: Airflow,
    settings: Settings,
    listener: Listener,
    tmp_path_factory: pytest.TempPathFactory,
) -> Evidence:
    folder = tmp_path_factory.mktemp("planted")
    found = Evidence({"web hook": listener.url.partition("token=")[2], "wrong password": WRONG})
    ensure_admin(settings.required("postgres_dsn"), airflow_stack.state.secret(ADMIN_PASSWORD))
    watch = CommandLines()
    watch.start()
    try:
        _use_the_api(airflow_stack, folder, found)
        token = log_in(settings, Path(settings.required("airflow_password_file")).read_text()).json()["access_token"]
        found.used["Airflow's token"] = token.rpartition(".")[2]
        _train(airflow)
        _fail_in_a_task(airflow, airflow_stack, settings)
        with ThreadPoolExecutor(3) as threads:
            tried = {
                name: threads.submit(_try, mistake, airflow_stack.platform_env, folder / f"{number}.env")
                for number, (name, mistake) in enumerate(_mistakes(settings, folder).items())
            }
            found.said |= {name: said.result() for name, said in tried.items()}
    finally:
        found.lines = watch.stop()
    return found


def _use_the_api(stack: Stack, folder: Path, found: Evidence) -> None:
    """Make a user, log in, renew, ask, log out; then everything once more with wrong words."""
    found.used["user's password"] = password = secrets.token_urlsafe()
    write_secret(folder / "password", password.encode())
    _tejido(
        stack.platform_env, "user", "add", "planted", "--role", "reader", "--password-file", str(folder / "password")
    )
    with httpx.Client(base_url=stack.urls["API"], timeout=30, trust_env=False) as http:
        form = {"username": "planted", "password": password}
        first = http.post("/auth/token", data=form).raise_for_status().json()
        renewed = http.post("/auth/refresh", data={"refresh_token": first["refresh_token"]})
        tokens = [first, renewed.raise_for_status().json()]
        for number, pair in enumerate(tokens):
            # The signature alone: the head of all tokens is the same.
            found.used[f"access token {number}"] = pair["access_token"].rpartition(".")[2]
            found.used[f"refresh token {number}"] = pair["refresh_token"]
        bearer = {"Authorization": f"Bearer {tokens[1]['access_token']}"}
        assert http.get("/facets", headers=bearer).status_code != 401
        # Who sends this is shown the word that cannot be read; the log, which others read, is not. Whether the lexer or
        # the parser refuses it depends on its characters.
        unread = http.post("/graphql", json={"query": password}, headers=bearer)
        assert unread.is_error or "errors" in unread.json(), unread.text
        wrong = {
            "log in": http.post("/auth/token", data=form | {"password": WRONG}),
            "log in as a password": http.post("/auth/token", data={"username": password, "password": WRONG}),
            "broken token": http.get("/facets", headers={"Authorization": bearer["Authorization"] + "A"}),
            "token as a query": http.get(f"/facets?token={tokens[1]['access_token']}"),
            "token as a path": http.get(f"/files/{tokens[1]['access_token']}/similar", headers=bearer),
            "used refresh token": http.post("/auth/refresh", data={"refresh_token": first["refresh_token"]}),
        }
        for name, answer in wrong.items():
            assert answer.is_error or "errors" in answer.text, name
            found.said[f"API: {name}"] = f"{dict(answer.headers)} {answer.text}"
    url = stack.settings().required("mlflow_uri")
    for name, login in {"wrong": ("admin", WRONG), "no": None}.items():
        refused = httpx.get(f"{url}/api/2.0/mlflow/experiments/search", auth=login, trust_env=False, timeout=30)
        assert refused.status_code == 401
        found.said[f"MLflow: {name} password"] = refused.text


def _train(airflow: Airflow) -> None:
    """A catalogue of its own, so that a run trains on it, whatever the tests before have left."""
    conf = {"source": "synthetic", "products": 61, "rounds": 1, "preset": "tiny"}
    airflow.trigger("catalog_etl", "planted", conf)
    succeeded(airflow, "catalog_etl", "planted")
    (trained,) = runs_made_by(airflow, ("catalog_etl", "planted"), "federated_finetune", count=1)
    succeeded(airflow, "federated_finetune", trained)


def _fail_in_a_task(airflow: Airflow, stack: Stack, settings: Settings) -> None:
    """A task that meets a database with another password, and notes its failure."""
    right = stack.platform_env.read_bytes()
    try:
        dsn = settings.required("postgres_dsn")
        write_secret(stack.platform_env, right.replace(dsn.encode(), _with_password(dsn, WRONG).encode()))
        airflow.trigger("housekeeping", "planted-failure", {})
        until = time.monotonic() + 120
        while not _has_failed(airflow, "housekeeping"):
            assert time.monotonic() < until
            time.sleep(0.5)
    finally:
        write_secret(stack.platform_env, right)
    airflow.trigger("catalog_etl", "planted-failure", {"source": "dir:/nowhere"})
    assert ended(airflow, "catalog_etl", "planted-failure").state == "failed"


def _has_failed(airflow: Airflow, dag_id: str) -> bool:
    return any(task["state"] in ("failed", "up_for_retry") for task in airflow._tasks(dag_id, "planted-failure"))


def _with_password(url: str, password: str) -> str:
    return re.sub(r"(?<=:)[^:@/]+(?=@)", password, url)


def _mistakes(settings: Settings, folder: Path) -> dict[str, tuple[dict[str, object], tuple[str, ...]]]:
    """What is tried → the settings that are wrong, and the command that meets them."""
    dsn, valkey = settings.required("postgres_dsn"), settings.required("valkey_url")
    (folder / "wrong").write_text(WRONG)
    index, models, check = ("index", "status"), ("model", "list"), ("federation", "preflight")
    announce = ("from server.index_notice import announce_index; announce_index(settings(), 1)",)
    progress = (
        "from core.progress import SharedProgress as S; S(settings().required('valkey_url'), 'k').update('a', 1, 1)",
    )
    notice = ("from server.notices import post_notice; post_notice(settings(), 'planted')",)
    hook = f"http://127.0.0.1:1/hook?token={WRONG}"
    return {
        "database: wrong password": ({"postgres_dsn": _with_password(dsn, WRONG)}, index),
        "database: nobody there": ({"postgres_dsn": re.sub(r":\d+/", ":1/", dsn)}, index),
        "database: password with a slash": ({"postgres_dsn": _with_password(dsn, f"{WRONG}/{WRONG}")}, index),
        "database: password with an @": ({"postgres_dsn": _with_password(dsn, f"pass@{WRONG}")}, index),
        "database: no URL": ({"postgres_dsn": dsn.replace("//", "/")}, index),
        "S3: wrong key": ({"s3_secret_key": WRONG}, check),
        "S3: nobody there": ({"s3_endpoint": "http://127.0.0.1:1"}, check),
        "MLflow: wrong password": ({"mlflow_password_file": folder / "wrong"}, models),
        "MLflow: nobody there": ({"mlflow_uri": "http://127.0.0.1:1"}, models),
        "MLflow: no file": ({"mlflow_password_file": folder / "absent"}, models),
        "Airflow: wrong password": ({"airflow_password_file": folder / "wrong"}, ("housekeeping",)),
        "API: nobody there": ({"api_url": "http://127.0.0.1:1"}, ("token",)),
        "Valkey: wrong password": ({"valkey_url": _with_password(valkey, WRONG)}, announce),
        "Valkey: password with a slash": ({"valkey_url": _with_password(valkey, f"{WRONG}/a")}, announce),
        "Valkey: progress": ({"valkey_url": _with_password(valkey, f"{WRONG}/a")}, progress),
        "web hook: nobody there": ({"notify_url": hook}, notice),
        "web hook: no URL": ({"notify_url": f"http://chat:{WRONG}/hook"}, notice),
        "setting: not a number": ({"publishing_page": WRONG}, index),
    }


def _try(mistake: tuple[dict[str, object], tuple[str, ...]], right: Path, wrong: Path) -> str:
    """What a command says with the stack's settings but for some; ``python -c`` for a single piece of code."""
    changed, command = mistake
    names = tuple(f"TEJIDO_{name.upper()}=" for name in changed)
    kept = "".join(line for line in right.read_text().splitlines(keepends=True) if not line.startswith(names))
    write_secret(wrong, (kept + environment_text(changed)).encode())
    return _tejido(wrong, *command)


def _tejido(env_file: Path, *arguments: str) -> str:
    program = [str(PROGRAMS / "tejido"), *arguments]
    if len(arguments) == 1 and " " in arguments[0]:
        program = [sys.executable, "-c", CODE.format(arguments[0])]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TEJIDO_")}
    environment = kept | {"TEJIDO_ENV_FILE": str(env_file)}
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def scanner(airflow_stack: Stack, evidence: Evidence) -> Scanner:
    kept = secrets_in(airflow_stack.state.secrets)
    keys = {
        f"tls/{name}": value for name, value in secrets_in(airflow_stack.state.root / "tls").items() if ".key" in name
    }
    # What a test of nothing would overlook.
    wanted = (
        *("postgres-catalog-password", "postgres-airflow-password", "valkey-password", "mlflow-password"),
        *("s3-platform-secret-key", "s3-client-a-secret-key", "s3-client-b-secret-key", "airflow-password"),
        *("signing/", "artifacts/wrapping.keys", "artifacts/signing.key", "nodes/a.key", "bundle-signing.key"),
        *("admin-password", "airflow-jwt-secret", "metrics-token"),
    )
    assert not [name for name in wanted if not any(key.startswith(name) for key in kept)]
    assert {"tls/ca.key:0", "tls/server.key:0"} <= set(keys)
    return Scanner({**kept, **keys, **evidence.used})


def test_no_process_shows_a_secret_on_its_command_line(evidence: Evidence, scanner: Scanner) -> None:
    everything = b"\n".join(evidence.lines)
    for program in (
        b"deployment.mlflow:application",
        b"airflow",
        b"flower-supernode",
        b"server.superexec",
        b"tejido\0federation",
    ):
        assert program in everything
    # Flower would give a task its token so.
    assert b"--token" not in everything
    assert scanner.find(everything) == set()
    assert not JWT.search(everything)


def test_no_file_but_those_made_for_them_holds_a_secret(airflow_stack: Stack, scanner: Scanner) -> None:
    root = airflow_stack.state.root
    holding: dict[str, set[str]] = {}
    for path in root.rglob("*"):
        if path.is_relative_to(root / "postgres"):
            continue  # its rows are looked at one by one
        if path.is_file() and not path.is_symlink() and (names := scanner.find_in_file(path)):
            holding[path.relative_to(root).as_posix()] = names
    assert {path: names for path, names in holding.items() if not HOLDERS.fullmatch(path)} == {}
    # The scanner has looked, and finds them where they are.
    assert {"run/platform.env", "airflow/airflow.cfg", "mlflow/login.ini", "run/valkey.conf"} <= set(holding)
    assert {path for path in holding if stat.S_IMODE((root / path).stat().st_mode) != 0o600} == set()


def test_no_log_holds_a_token(airflow_stack: Stack) -> None:
    logs = [path for path in airflow_stack.state.logs.rglob("*") if path.is_file()]
    assert len(logs) > 20
    assert any("planted-failure" in str(path) for path in logs)
    assert [path for path in logs if JWT.search(path.read_bytes())] == []


def test_no_row_of_a_database_holds_a_secret(airflow_stack: Stack, scanner: Scanner) -> None:
    holding: dict[str, set[str]] = {}
    rows: dict[str, int] = {}
    for database in DATABASES:
        for table, text in _rows(airflow_stack, database):
            rows[f"{database}.{table}"] = rows.get(f"{database}.{table}", 0) + 1
            if names := scanner.find(text):
                holding.setdefault(f"{database}.{table}", set()).update(names)
    assert holding == {}
    for table in ("rendered_task_instance_fields", "xcom", "task_instance", "dag_run", "log", "serialized_dag"):
        assert rows.get(f"airflow.{table}"), table
    for table in ("params", "tags", "metrics", "users", "model_version_tags"):
        assert rows.get(f"mlflow_db.{table}"), table
    assert rows["catalog.users"] > 1


def _rows(stack: Stack, database: str) -> Iterator[tuple[str, str]]:
    secret = (stack.state.secrets / "postgres-postgres-password").read_text()
    port = stack.urls["PostgreSQL"].rpartition(":")[2].strip("/")
    with psycopg.connect(
        host="127.0.0.1", port=int(port), user="postgres", password=secret, dbname=database
    ) as connection:
        tables = connection.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename), tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for qualified, name in tables:
            for (text,) in connection.execute(f"SELECT t::text FROM {qualified} AS t"):
                yield name, text


def test_nothing_that_is_said_of_a_mistake_shows_a_secret(evidence: Evidence, scanner: Scanner) -> None:
    told: Mapping[str, set[str]] = {name: scanner.find(text) for name, text in evidence.said.items()}
    assert len(told) > 20
    assert {name: names for name, names in told.items() if names} == {}
    assert [name for name, text in evidence.said.items() if not text.strip() and "progress" not in name] == []
    assert [name for name, text in evidence.said.items() if "Traceback" in text] == []


def test_secrets_are_for_their_owner_alone(airflow_stack: Stack, evidence: Evidence) -> None:
    folder, root = airflow_stack.state.secrets, airflow_stack.state.root
    files = [*secret_files(folder), *root.glob("tls/*.key"), *root.glob("run/*.env"), *root.glob("policies/*")]
    files += [*root.glob("run/*s.json"), root / "airflow" / "airflow.cfg", root / "airflow" / "passwords.json"]
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir()), *{file.parent for file in files}]
    assert len(files) > 35
    assert {str(path) for path in files if path.name != "ports.json" and _mode(path) != 0o600} == set()
    assert {str(path) for path in folders if _mode(path) != 0o700} == set()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
