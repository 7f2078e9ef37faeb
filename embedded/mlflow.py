"""The MLflow server: runs and models in PostgreSQL, artifacts in S3 and served through it."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from core.settings import Bucket
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
        """The server, secrets in its environment.

        This is the process that ``mlflow server`` would start, with the environment that it would give it. The command
        itself would stay beside the server: 5 s and 200 MB more, and a crash of the server hidden behind it.
        """
        environment = {
            "_MLFLOW_SERVER_FILE_STORE": self.database,
            "_MLFLOW_SERVER_REGISTRY_STORE": self.database,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"s3://{self.artifacts.bucket}",
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SGI_NAME": "uvicorn",
            "MLFLOW_S3_ENDPOINT_URL": self.artifacts.endpoint,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # Its job runner would be two more processes for features that are not used here.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "AWS_ACCESS_KEY_ID": self.artifacts.access_key,
            "AWS_SECRET_ACCESS_KEY": self.artifacts.secret_key.get_secret_value(),
            "AWS_DEFAULT_REGION": self.artifacts.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        where = ("--host", LOOPBACK, "--port", str(self.port.number), "--no-access-log")
        arguments = (sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", *where)
        return Command(arguments, environment, cwd=self.state.folder("mlflow"))

    def is_ready(self) -> bool:
        """Whether it answers a query; the first one ever makes its tables, which takes long and must not be doubled."""
        query = f"{self.url}/api/2.0/mlflow/experiments/search?max_results=1"
        return answers(f"{self.url}/health") and answers(query, within_s=FIRST_QUERY_S)
