"""Airflow in its own environment: API server, scheduler, DAG processor and triggerer, each a process of its own."""

from __future__ import annotations

import configparser
import io
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.files import write_atomically, write_secret
from embedded.errors import AirflowMissing, PreparationFailed
from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import REPOSITORY, ServiceDefaults, Steps, fetch_json
from embedded.state import StateFolder

USER = "admin"
PARALLELISM = 4
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
# A person's own machine trains when it is told to, not by night, unless that is asked for.
DAG_SETTINGS = {"TEJIDO_FINETUNE_SCHEDULE": "", "TEJIDO_WAVE_SCHEDULE": ""}
HANDED_ON = (
    *("TEJIDO_FINETUNE_SCHEDULE", "TEJIDO_HOUSEKEEPING_SCHEDULE", "TEJIDO_KEEP_DAYS", "TEJIDO_KEEP_RUNS"),
    *("TEJIDO_NOTIFY_URL", "TEJIDO_WAVE_SCHEDULE"),
)
"""What the DAGs read, from the environment of whoever starts the stack."""
CLEAN_EVERY_DAYS = 7


def airflow_environment() -> Path:
    """Folder of Airflow's virtual environment.

    Raises:
        AirflowMissing: it is not there.
    """
    folder = Path(os.environ.get("TEJIDO_AIRFLOW_HOME_VENV") or REPOSITORY / ".venv-airflow")
    if not (folder / "bin" / "airflow").is_file():
        raise AirflowMissing(folder)
    return folder


@dataclass(frozen=True)
class AirflowHome:
    """What the three processes share: configuration, password, database."""

    state: StateFolder
    port: Port
    database: str
    """SQLAlchemy URL with password."""
    platform_env: Path
    venv: Path

    @property
    def url(self) -> str:
        """Of the web page and the REST API."""
        return f"http://{LOOPBACK}:{self.port.number}"

    @property
    def password_file(self) -> Path:
        """The password of the user ``admin``, as plain text (0600)."""
        return self.state.secrets / "airflow-password"

    def airflow(self, *arguments: str) -> Command:
        """An ``airflow`` command. What its tasks need to find the platform is in its environment."""
        environment = {
            "AIRFLOW_HOME": str(self.folder),
            "TEJIDO_BIN": str(Path(sys.executable).parent / "tejido"),
            "TEJIDO_ENV_FILE": str(self.platform_env),
            **DAG_SETTINGS,
            **{name: os.environ[name] for name in HANDED_ON if name in os.environ},
            # Airflow's own programs come first for Airflow.
            "PATH": f"{self.venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }
        return Command((str(self.venv / "bin" / "airflow"), *arguments), environment, cwd=self.folder)

    def write(self) -> None:
        """Write the configuration file and the password file."""
        passwords = self.folder / "passwords.json"
        write_secret(passwords, json.dumps({USER: self.state.secret(self.password_file.name)}).encode())
        parser = configparser.RawConfigParser()
        parser.read_dict(self._options(passwords))
        text = io.StringIO()
        parser.write(text)
        write_secret(self.folder / "airflow.cfg", text.getvalue().encode())

    @property
    def folder(self) -> Path:
        """AIRFLOW_HOME."""
        return self.state.folder("airflow")

    def _options(self, passwords: Path) -> dict[str, dict[str, object]]:
        logs = self.state.folder("logs", "airflow")
        return {
            "core": {
                "dags_folder": REPOSITORY / "dags",
                # The triggerer looks for the triggers of the DAGs here, and not among them.
                "plugins_folder": REPOSITORY / "dags" / "plugins",
                "load_examples": False,
                "dags_are_paused_at_creation": False,
                "executor": "LocalExecutor",
                "parallelism": PARALLELISM,
                "max_active_tasks_per_dag": PARALLELISM,
                # A secret is 32 bytes in URL-safe base64, which with its padding is what Fernet takes.
                "fernet_key": self.state.secret("airflow-fernet-key") + "=",
                "simple_auth_manager_users": f"{USER}:admin",
                "simple_auth_manager_passwords_file": passwords,
                "execution_api_server_url": f"{self.url}/execution/",
            },
            "database": {
                "sql_alchemy_conn": self.database,
                "sql_alchemy_pool_size": 3,
                # A burst of requests takes a connection each, and one that waits for half a minute fails.
                "sql_alchemy_max_overflow": 30,
                "load_default_connections": False,
            },
            "api": {
                "host": LOOPBACK,
                "port": self.port.number,
                "base_url": self.url,
                "workers": 1,
                "secret_key": self.state.secret("airflow-secret-key"),
                "expose_config": False,
            },
            # One process answers all tasks: on a busy machine a start may take longer than five seconds to be noted.
            "workers": {"execution_api_timeout": 30},
            # Airflow signs with HMAC-SHA-512, whose key should be as long as its digest.
            "api_auth": {"jwt_secret": self.state.secret("airflow-jwt-secret", length_bytes=64)},
            "scheduler": {"scheduler_idle_sleep_time": 0.5, "enable_health_check": False},
            "dag_processor": {"parsing_processes": 1, "refresh_interval": 30, "min_file_process_interval": 30},
            "logging": {"base_log_folder": logs, "dag_processor_child_process_log_directory": logs / "dag_processor"},
            "usage_data_collection": {"enabled": False},
        }


@dataclass(frozen=True, kw_only=True)
class AirflowDatabase:
    """A step of the start, not a process: Airflow's tables."""

    home: AirflowHome
    needs: tuple[str, ...] = ("postgres",)
    name: str = "Airflow tables"
    slug: str = "airflow-tables"

    def run(self, steps: Steps) -> None:
        """Migrate, unless this very version of Airflow has done so at an earlier start (it takes 10 s to find out)."""
        self.home.write()
        mark = self.home.folder / "migrated"
        version = _version(self.home.venv)
        if mark.exists() and mark.read_text() == version:
            self._clean(steps)
            return
        steps.run("Making Airflow's tables", self.home.airflow("db", "migrate"))
        write_atomically(mark, version.encode())

    def _clean(self, steps: Steps) -> None:
        """Remove old rows, once a week: here, as no task of a DAG has a way to these tables."""
        mark = self.home.folder / "cleaned"
        since = mark if mark.exists() else self.home.folder / "migrated"
        now = datetime.now(UTC)
        if now.timestamp() - since.stat().st_mtime < CLEAN_EVERY_DAYS * 24 * 3600:
            return
        before = now - timedelta(days=int(os.environ.get("TEJIDO_KEEP_DAYS", "30")))
        old = ("--clean-before-timestamp", before.isoformat(), "--skip-archive", "--yes")
        # Its words are in the log. Nobody shall be kept from working by it, and the next start tries again.
        with suppress(PreparationFailed):
            steps.run("Cleaning Airflow's tables", self.home.airflow("db", "clean", *old))
            write_atomically(mark, now.isoformat().encode())


@dataclass(frozen=True, kw_only=True)
class AirflowProcess(ServiceDefaults):
    """One of Airflow's processes."""

    home: AirflowHome
    component: str
    """One of COMPONENTS."""
    needs: tuple[str, ...] = ("airflow-tables",)
    deadline_s: float = 180.0
    # All its state is in the database; its API server says that it has finished and then lingers for 10 s.
    stop_within_s: float = 2.0

    @property
    def name(self) -> str:
        """With its component."""
        return "Airflow" if self.component == "api-server" else f"Airflow {self.component}"

    @property
    def slug(self) -> str:
        """With its component."""
        return f"airflow-{self.component}"

    @property
    def url(self) -> str:
        """All components are seen through the API server."""
        return self.home.url

    def command(self) -> Command:
        """The process in the foreground."""
        # Task logs are read from the folder that all share; nobody needs a server for them.
        extra = ("--skip-serve-logs",) if self.component in ("scheduler", "triggerer") else ()
        return self.home.airflow(self.component, *extra)

    def is_ready(self) -> bool:
        """Whether the API server answers; the others report to the database, and the API server tells."""
        health = fetch_json(f"{self.home.url}/api/v2/monitor/health")
        if self.component == "api-server":
            return health is not None
        report = (health or {}).get(self.component.replace("-", "_"))
        return isinstance(report, dict) and report.get("status") == "healthy"


def airflow_processes(home: AirflowHome) -> list[AirflowProcess]:
    """The processes that Airflow needs here."""
    return [AirflowProcess(home=home, component=name) for name in COMPONENTS]


def _version(venv: Path) -> str:
    found = sorted(venv.glob("lib/python3*/site-packages/apache_airflow-*.dist-info"))
    return found[-1].name if found else "unknown"
