"""The MLflow server: runs and models in PostgreSQL, artifacts in S3 and served through it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.files import write_secret
from core.settings import Bucket
from deployment.mlflow import CONFIGURATION, USER, login_configuration, mlflow_arguments, mlflow_environment
from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import ServiceDefaults, Steps, answers
from embedded.state import StateFolder

FIRST_QUERY_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Mlflow(ServiceDefaults):
    """One MLflow server with one worker, behind a log-in, on the loopback interface only."""

    state: StateFolder
    port: Port
    database: str
    """SQLAlchemy URL with password."""
    artifacts: Bucket
    name: str = "MLflow"
    slug: str = "mlflow"
    needs: tuple[str, ...] = ("postgres",)
    deadline_s: float = 180.0

    @property
    def url(self) -> str:
        """Of the interface for people and programs."""
        return f"http://{LOOPBACK}:{self.port.number}"

    @property
    def password_file(self) -> Path:
        """The password of the user ``admin``, as plain text (0600)."""
        return self.state.secret_file("mlflow-password")

    def prepare(self, steps: Steps) -> None:  # noqa: ARG002 - every service is prepared alike
        """Write who may log in."""
        password = self.password_file.read_text()
        write_secret(self._configuration, login_configuration(self.database, password).encode())

    def command(self) -> Command:
        """The server in the foreground, secrets in its environment."""
        environment = mlflow_environment(
            self.database,
            self.artifacts,
            configuration=self._configuration,
            forms_key=self.state.secret("mlflow-forms-key"),
        )
        return Command(mlflow_arguments(LOOPBACK, self.port.number), environment, cwd=self.state.folder("mlflow"))

    def is_ready(self) -> bool:
        """Whether it answers a query; the first one ever makes its tables, which takes long and must not be doubled."""
        login = (USER, self.password_file.read_text())
        query = f"{self.url}/api/2.0/mlflow/experiments/search?max_results=1"
        return answers(f"{self.url}/health") and answers(query, login=login, within_s=FIRST_QUERY_S)

    @property
    def _configuration(self) -> Path:
        return self.state.folder("mlflow") / CONFIGURATION
