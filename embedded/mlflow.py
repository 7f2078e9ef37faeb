"""The MLflow server: runs and models in PostgreSQL, artifacts in S3 and served through it."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from core.settings import Bucket
from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import ServiceDefaults, answers
from embedded.state import StateFolder


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
    deadline_s: float = 120.0
    # The command waits beside the server that it starts; either without the other is of no use.
    vital_child: str | None = "mlflow.server"

    @property
    def url(self) -> str:
        """Of the interface for people and programs."""
        return f"http://{LOOPBACK}:{self.port.number}"

    def command(self) -> Command:
        """The server, secrets in its environment."""
        environment = {
            "MLFLOW_BACKEND_STORE_URI": self.database,
            "MLFLOW_S3_ENDPOINT_URL": self.artifacts.endpoint,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # Its job runner would be two more processes for features that are not used here.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "AWS_ACCESS_KEY_ID": self.artifacts.access_key,
            "AWS_SECRET_ACCESS_KEY": self.artifacts.secret_key.get_secret_value(),
            "AWS_DEFAULT_REGION": self.artifacts.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        where = ("--host", LOOPBACK, "--port", str(self.port.number), "--workers", "1")
        artifacts = ("--serve-artifacts", "--artifacts-destination", f"s3://{self.artifacts.bucket}")
        folder = self.state.folder("mlflow")
        return Command((sys.executable, "-m", "mlflow", "server", *where, *artifacts), environment, cwd=folder)

    def is_ready(self) -> bool:
        """Whether its health page answers."""
        return answers(f"{self.url}/health")
