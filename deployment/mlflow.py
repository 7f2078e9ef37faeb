"""The MLflow server's process. `python -m deployment.mlflow SHARE` starts it in a container."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from core.settings import Bucket
from deployment import addresses

PORT = 5000
HOSTS = ("mlflow", f"mlflow:{PORT}", "localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*")
"""What the server may be called; anything else would be a page of somebody else's that a browser was sent by."""


def mlflow_environment(database: str, artifacts: Bucket) -> dict[str, str]:
    """What ``mlflow server`` would give the process that it starts.

    The command itself would stay beside the server: 5 s and 200 MB more, and a crash of the server hidden behind it.

    Args:
        database: SQLAlchemy URL with password.
        artifacts: the bucket that artifacts are kept in and served from.
    """
    return {
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"s3://{artifacts.bucket}",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_S3_ENDPOINT_URL": artifacts.endpoint,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its job runner would be two more processes for features that are not used here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "AWS_ACCESS_KEY_ID": artifacts.access_key,
        "AWS_SECRET_ACCESS_KEY": artifacts.secret_key.get_secret_value(),
        "AWS_DEFAULT_REGION": artifacts.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def mlflow_arguments(host: str, port: int) -> tuple[str, ...]:
    """The server in the foreground."""
    where = ("--host", host, "--port", str(port), "--no-access-log")
    return (sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", *where)


def bring_tables_up_to_date(database: str) -> None:
    """Make MLflow's tables, or migrate them; a newer MLflow's are refused.

    The server would do it with its first query, and deadlock with itself when two come at once.
    """
    from mlflow.store.db import utils

    store: Any = utils  # MLflow has no types here
    engine = store.create_sqlalchemy_engine_with_retry(database)
    try:
        if store._all_tables_exist(engine):
            store._upgrade_db(engine)
        else:
            store._initialize_tables(engine)
    finally:
        engine.dispose()


def main(share: Path) -> None:
    """Become the server."""
    database = (share / "database").read_text()
    bring_tables_up_to_date(database)
    artifacts = Bucket(
        endpoint=addresses.STORE,
        access_key=(share / "access-key").read_text(),
        secret_key=SecretStr((share / "secret-key").read_text()),
        bucket="mlflow",
    )
    environment = {
        **os.environ,
        **mlflow_environment(database, artifacts),
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(HOSTS),
    }
    # 0.0.0.0 within the container; docker-compose.yaml publishes the port on 127.0.0.1 only.
    arguments = mlflow_arguments("0.0.0.0", PORT)  # noqa: S104
    os.execve(arguments[0], arguments, environment)  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]))
