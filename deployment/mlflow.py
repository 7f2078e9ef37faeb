"""The MLflow server's process, behind MLflow's log-in. `python -m deployment.mlflow SHARE` starts it in a container."""

from __future__ import annotations

import configparser
import io
import os
import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from core.settings import Bucket
from deployment import addresses

PORT = 5000
USER = "admin"
CONFIGURATION, FORMS_KEY = "login.ini", "forms-key"
"""Files of a share: who may log in, and what the forms of its pages are signed with."""
REMEMBER_S = 60
"""How long a password that was right is known to be. Each check is scrypt: a tenth of a second, and 32 MB."""
HOSTS = ("mlflow", f"mlflow:{PORT}", "localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*")
"""What the server may be called; anything else would be a page of somebody else's that a browser was sent by."""


def mlflow_environment(database: str, artifacts: Bucket, *, configuration: Path, forms_key: str) -> dict[str, str]:
    """What ``mlflow server`` would give the process that it starts.

    The command itself would stay beside the server: 5 s and 200 MB more, and a crash of the server hidden behind it.

    Args:
        database: SQLAlchemy URL with password.
        artifacts: the bucket that artifacts are kept in and served from.
        configuration: file with what `login_configuration` says (0600).
        forms_key: signs the forms of its pages; a secret.
    """
    return {
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"s3://{artifacts.bucket}",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_S3_ENDPOINT_URL": artifacts.endpoint,
        "MLFLOW_AUTH_CONFIG_PATH": str(configuration),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": forms_key,
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
    return (sys.executable, "-m", "uvicorn", "--factory", "deployment.mlflow:application", *where)


def login_configuration(database: str, password: str) -> str:
    """MLflow's file of who may log in: `USER`, who may do everything, and whom that one lets in, to look.

    Args:
        database: SQLAlchemy URL with password, of where MLflow keeps users; may be that of the runs.
        password: of `USER`; 12 characters at least.
    """
    options = {
        "database_uri": database,
        "admin_username": USER,
        "admin_password": password,
        "default_permission": "READ",
        "auth_cache_ttl_seconds": REMEMBER_S,
    }
    parser = configparser.RawConfigParser()
    # MLflow reads it with interpolation, where a % of a URL would begin something.
    parser.read_dict({"mlflow": {name: str(value).replace("%", "%%") for name, value in options.items()}})
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def application() -> Any:
    """The server, for uvicorn. Without a password it tells its health and what it can do, and sends its pages' scripts.

    `USER`'s password is that of the file from each start on; MLflow itself would believe the file at its first start
    only.
    """
    from mlflow.server import auth as module

    auth: Any = module  # MLflow has no types here
    served, configured = auth.create_app(), auth.auth_config
    if not auth.store.authenticate_user(configured.admin_username, configured.admin_password):
        auth.store.update_user(configured.admin_username, password=configured.admin_password)
    return served


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
        **mlflow_environment(
            database,
            artifacts,
            configuration=share / CONFIGURATION,
            forms_key=(share / FORMS_KEY).read_text(),
        ),
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(HOSTS),
    }
    # 0.0.0.0 within the container; docker-compose.yaml publishes the port on 127.0.0.1 only.
    arguments = mlflow_arguments("0.0.0.0", PORT)  # noqa: S104
    os.execve(arguments[0], arguments, environment)  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]))
