"""Everything that MLflow is told or asked: runs, one batch of metrics a round, model versions, aliases.

The only module that imports mlflow. It never uses MLflow's model loaders: what is stored is data, see models.py.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A server that is gone shall be an error within seconds, not after minutes of retries.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException, RestException
from mlflow.tracking import MlflowClient

from server.errors import ModelMissing, TrackingUnreachable

ETL_EXPERIMENT = "catalog-etl"
FEDERATED_EXPERIMENT = "federated-clip"
MODEL = "fashion-clip"
CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
ARTIFACTS = "model"
MAX_PARAM = 500


@dataclass(frozen=True)
class ModelVersion:
    """One registered version, with what the registry says about it."""

    name: str
    version: str
    run_id: str
    content_hash: str
    preset: str
    catalogue_version: str
    aliases: tuple[str, ...]
    created_at_ms: int
    tags: Mapping[str, str]


class Tracker:
    """The MLflow server of this process's settings; ``uri`` may also be a local ``sqlite:///`` file."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        with _reached(uri):
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def ping(self) -> None:
        """Raise TrackingUnreachable when the server does not answer."""
        with _reached(self.uri):
            self._client.search_experiments(max_results=1)

    def log_etl(self, name: str, *, params: Mapping[str, Any], metrics: Mapping[str, float], summary: str) -> str:
        """Log one catalogue run, whole, into ``catalog-etl``; ``summary`` becomes manifest.json. Returns the run id.

        Logged again under the same name, it is the same run.
        """
        with _reached(self.uri):
            known = self.reopen(ETL_EXPERIMENT, "catalogue", name)
            run_id = known or self.start(ETL_EXPERIMENT, name, params=params, tags={"catalogue": name})
            self.log(run_id, metrics, step=0)
            self._client.log_text(run_id, summary, "manifest.json")
            self.end(run_id)
        return run_id

    def start(
        self,
        experiment: str,
        name: str,
        *,
        params: Mapping[str, Any],
        tags: Mapping[str, str] | None = None,
        artifacts: str | None = None,
    ) -> str:
        """Start a run and return its id; ``artifacts`` is where a new experiment keeps files (local tracking only)."""
        with _reached(self.uri):
            run = self._client.create_run(self._experiment(experiment, artifacts), run_name=name, tags=dict(tags or {}))
            values = [Param(key, str(value)[:MAX_PARAM]) for key, value in params.items()]
            self._client.log_batch(run.info.run_id, params=values)
        return str(run.info.run_id)

    def reopen(self, experiment: str, tag: str, value: str) -> str | None:
        """Go on with the run of an experiment that bears this tag; returns its id, or None when there is none."""
        with _reached(self.uri):
            known = self._client.get_experiment_by_name(experiment)
            ids = [known.experiment_id] if known else []
            found = self._client.search_runs(ids, f"tags.`{tag}` = '{value}'", max_results=1) if ids else []
            for run in found:
                self._client.update_run(run.info.run_id, status="RUNNING")
                return str(run.info.run_id)
        return None

    def log(self, run_id: str, metrics: Mapping[str, float], *, step: int) -> None:
        """One request for all metrics of a step."""
        now = int(time.time() * 1000)
        with _reached(self.uri):
            self._client.log_batch(run_id, [Metric(k, float(v), now, step) for k, v in metrics.items()])

    def log_json(self, run_id: str, name: str, value: Any) -> None:
        """Keep a value as a JSON file of the run, in place of one of the same name."""
        with _reached(self.uri):
            self._client.log_text(run_id, json.dumps(value, indent=1), name)

    def log_files(self, run_id: str, files: Mapping[str, bytes], *, folder: str) -> None:
        """Keep files in a folder of the run, in place of those of the same names."""
        with tempfile.TemporaryDirectory(prefix="tejido-files-") as name, _reached(self.uri):
            for file, data in files.items():
                (Path(name) / file).write_bytes(data)
            self._client.log_artifacts(run_id, name, folder)

    def steps(self, run_id: str, metric: str) -> set[int]:
        """The steps at which a metric was logged."""
        with _reached(self.uri):
            return {int(point.step) for point in self._client.get_metric_history(run_id, metric)}

    def end(self, run_id: str, *, status: str = "FINISHED") -> None:
        """Close a run: FINISHED, FAILED or KILLED."""
        with _reached(self.uri):
            self._client.set_terminated(run_id, status=status)

    def register(self, run_id: str, folder: Path, *, tags: Mapping[str, str]) -> str:
        """Upload a model's files to its run and register them as the next version; returns the version."""
        with _reached(self.uri):
            self._client.log_artifacts(run_id, str(folder), ARTIFACTS)
            self._ensure_model()
            source = f"{self._client.get_run(run_id).info.artifact_uri}/{ARTIFACTS}"
            created = self._client.create_model_version(MODEL, source, run_id=run_id, tags=dict(tags))
            self._client.log_batch(run_id, tags=[RunTag("model_version", str(created.version))])
        return str(created.version)

    def registered(self, run_id: str) -> str | None:
        """The version that `register` made of a run, if it came to that."""
        with _reached(self.uri):
            found = self._client.search_model_versions(f"run_id='{run_id}'")
        return str(found[0].version) if found else None

    def set_alias(self, alias: str, version: str) -> None:
        """Move an alias. It is never deleted first: a reader always finds one of the two versions."""
        with _reached(self.uri):
            self._client.set_registered_model_alias(MODEL, alias, version)

    def tag_version(self, version: str, tags: Mapping[str, str]) -> None:
        """Note something about a version where everybody sees it."""
        with _reached(self.uri):
            for key, value in tags.items():
                self._client.set_model_version_tag(MODEL, version, key, value)

    def find(self, alias_or_version: str) -> ModelVersion | None:
        """The version of that number, or the one that an alias points to; None when there is none."""
        with _reached(self.uri):
            try:
                if alias_or_version.isdigit():
                    found = self._client.get_model_version(MODEL, alias_or_version)
                else:
                    found = self._client.get_model_version_by_alias(MODEL, alias_or_version)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return self._version(found)

    def require(self, alias_or_version: str) -> ModelVersion:
        """Like `find`; raises ModelMissing when there is none."""
        found = self.find(alias_or_version)
        if found is None:
            raise ModelMissing(
                f"There is no version {alias_or_version!r} of {MODEL}.", hint="Train one: `tejido federation run`."
            )
        return found

    def versions(self) -> list[ModelVersion]:
        """All versions, newest first."""
        with _reached(self.uri):
            found = self._client.search_model_versions(f"name='{MODEL}'")
            # A search leaves the aliases out; asking by number brings them along.
            whole = [self._client.get_model_version(MODEL, version.version) for version in found]
        return sorted((self._version(v) for v in whole), key=lambda v: int(v.version), reverse=True)

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each of a run's metrics."""
        with _reached(self.uri):
            return dict(self._client.get_run(run_id).data.metrics)

    def download(self, version: ModelVersion, folder: Path) -> Path:
        """Fetch a version's files below ``folder``; returns the folder that holds them."""
        folder.mkdir(parents=True, exist_ok=True)
        with _reached(self.uri):
            return Path(self._client.download_artifacts(version.run_id, ARTIFACTS, str(folder)))

    def _experiment(self, name: str, artifacts: str | None) -> str:
        found = self._client.get_experiment_by_name(name)
        if found:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name, artifact_location=artifacts))
        except RestException as error:
            # Two runs may begin at once, and one of them is first.
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            again = self._client.get_experiment_by_name(name)
            if again is None:
                raise
            return str(again.experiment_id)

    def _ensure_model(self) -> None:
        try:
            self._client.create_registered_model(MODEL)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _version(self, found: Any) -> ModelVersion:
        tags = dict(found.tags)
        return ModelVersion(
            name=MODEL,
            version=str(found.version),
            run_id=str(found.run_id),
            content_hash=tags.get("content_hash", ""),
            preset=tags.get("preset", ""),
            catalogue_version=tags.get("catalogue_version", ""),
            aliases=tuple(sorted(found.aliases)),
            created_at_ms=int(found.creation_timestamp),
            tags=tags,
        )


@contextmanager
def _reached(uri: str) -> Iterator[None]:
    try:
        yield
    except (MlflowException, ConnectionError, OSError) as error:
        raise TrackingUnreachable(
            f"MLflow at {uri} did not answer or refused: {str(error).splitlines()[0][:300]}.",
            hint="Is the MLflow server running? `tejido doctor` looks.",
        ) from error
