"""The MLflow server: runs and models in PostgreSQL, artifacts in S3 and served through it."""

from __future__ import annotations

from dataclasses import dataclass

from core.settings import Bucket
from deployment.mlflow import mlflow_arguments, mlflow_environment
from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import ServiceDefaults, answers
from embedded.state import StateFolder

FIRST_QUERY_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Mlflow(ServiceDefaults):
    """One MLflow server with one worker. It has no login, so it listens on the loopback interface only."""

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

    def command(self) -> Command:
        """The server in the foreground, secrets in its environment."""
        environment = mlflow_environment(self.database, self.artifacts)
        return Command(mlflow_arguments(LOOPBACK, self.port.number), environment, cwd=self.state.folder("mlflow"))

    def is_ready(self) -> bool:
        """Whether it answers a query; the first one ever makes its tables, which takes long and must not be doubled."""
        query = f"{self.url}/api/2.0/mlflow/experiments/search?max_results=1"
        return answers(f"{self.url}/health") and answers(query, within_s=FIRST_QUERY_S)
