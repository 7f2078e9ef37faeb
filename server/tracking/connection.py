"""The connection to one MLflow server, its errors as ours, and how long this process has waited for it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

# A server that is gone shall be an error within seconds, not after minutes of retries.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from server.errors import TrackingUnreachable
from server.tracking.login import Login


class Connection:
    """One MLflow server; ``uri`` may also be a local ``sqlite:///`` file, which asks for no ``login``."""

    def __init__(self, uri: str, login: Login | None = None) -> None:
        self.uri = uri
        self._login = login
        self.seconds = 0.0
        """What all calls of this object have taken together."""
        self._depth = 0
        with self._reached():
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def ping(self) -> None:
        """Raise TrackingUnreachable when the server does not answer."""
        with self._reached():
            self._client.search_experiments(max_results=1)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Around each call of the client: its errors become ours, its time is counted once however calls nest."""
        began = time.monotonic()
        self._depth += 1
        # Each time: another server's may have been asked meanwhile.
        if self._login:
            self._login.present()
        try:
            yield
        except (MlflowException, ConnectionError, OSError) as error:
            raise TrackingUnreachable(
                f"MLflow at {self.uri} did not answer or refused: {str(error).splitlines()[0][:300]}.",
                hint="Is the MLflow server running? `tejido doctor` looks.",
            ) from error
        finally:
            self._depth -= 1
            if not self._depth:
                self.seconds += time.monotonic() - began
