"""Runs: parameters, curves, files, and runs nested in runs."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import RestException

from server.tracking.connection import Connection
from server.tracking.login import Login
from server.tracking.names import ETL_EXPERIMENT

MAX_PARAM = 500
MAX_TAG = 5_000
AT_ONCE = 1000
"""As many metrics as MLflow takes in one request."""
PARENT = "mlflow.parentRunId"
"""The tag by which MLflow shows a run below another."""


@dataclass(frozen=True)
class Point:
    """One value of one curve."""

    metric: str
    value: float
    step: int
    at_ms: int


@dataclass(frozen=True)
class Run:
    """What MLflow knows of a run; metrics are their last values."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


class Runs(Connection):
    """Runs of the experiments."""

    def __init__(self, uri: str, login: Login | None = None) -> None:
        super().__init__(uri, login)
        self._experiments: dict[str, str] = {}
        """Run → its experiment, which never changes."""

    def log_etl(self, name: str, *, params: Mapping[str, Any], metrics: Mapping[str, float], summary: str) -> str:
        """Log one catalogue run, whole, into ``catalog-etl``; ``summary`` becomes manifest.json. Returns the run id.

        Logged again under the same name, it is the same run.
        """
        with self._reached():
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
        with self._reached():
            return self._start(self._experiment(experiment, artifacts), name, params, tags or {})

    def start_nested(self, parent: str, name: str, *, tags: Mapping[str, str]) -> str:
        """Start a run below another, in its experiment; returns its id."""
        with self._reached():
            return self._start(self._experiment_of(parent), name, {}, {PARENT: parent, **tags})

    def nested(self, parent: str) -> list[Run]:
        """The runs below a run, the oldest first."""
        with self._reached():
            experiment, below = self._experiment_of(parent), f"tags.`{PARENT}` = '{parent}'"
            found, token = [], None
            while True:
                page = self._client.search_runs([experiment], below, page_token=token, order_by=["start_time ASC"])
                found += [_run(entry) for entry in page]
                token = page.token
                if not token:
                    return found

    def reopen(self, experiment: str, tag: str, value: str) -> str | None:
        """Go on with the run of an experiment that bears this tag; returns its id, or None when there is none."""
        with self._reached():
            known = self._client.get_experiment_by_name(experiment)
            ids = [known.experiment_id] if known else []
            found = self._client.search_runs(ids, f"tags.`{tag}` = '{value}'", max_results=1) if ids else []
            for run in found:
                self.go_on(run.info.run_id)
                return str(run.info.run_id)
        return None

    def go_on(self, run_id: str) -> None:
        """Show a run as running, which was so before or had ended."""
        with self._reached():
            self._client.update_run(run_id, status="RUNNING")

    def run(self, run_id: str) -> Run:
        """One run."""
        with self._reached():
            return _run(self._client.get_run(run_id))

    def log(self, run_id: str, metrics: Mapping[str, float], *, step: int) -> None:
        """One request for all metrics of a step."""
        now = int(time.time() * 1000)
        self.log_points(run_id, [Point(name, value, step, now) for name, value in metrics.items()])

    def log_points(self, run_id: str, points: Sequence[Point], *, tags: Mapping[str, str] | None = None) -> None:
        """Points of any steps, with tags; one request for each thousand points."""
        metrics = [Metric(point.metric, float(point.value), point.at_ms, point.step) for point in points]
        noted = [RunTag(key, value[:MAX_TAG]) for key, value in (tags or {}).items()]
        with self._reached():
            for start in range(0, max(len(metrics), 1), AT_ONCE):
                self._client.log_batch(run_id, metrics[start : start + AT_ONCE], tags=noted)
                noted = []

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Note something about a run."""
        self.log_points(run_id, [], tags=tags)

    def log_json(self, run_id: str, name: str, value: Any) -> None:
        """Keep a value as a JSON file of the run, in place of one of the same name."""
        self.log_text(run_id, name, json.dumps(value, indent=1))

    def log_text(self, run_id: str, name: str, text: str) -> None:
        """Keep a text as a file of the run, in place of one of the same name."""
        with self._reached():
            self._client.log_text(run_id, text, name)

    def log_files(self, run_id: str, files: Mapping[str, bytes], *, folder: str) -> None:
        """Keep files in a folder of the run, in place of those of the same names."""
        with tempfile.TemporaryDirectory(prefix="tejido-files-") as name, self._reached():
            for file, data in files.items():
                (Path(name) / file).write_bytes(data)
            self._client.log_artifacts(run_id, name, folder)

    def steps(self, run_id: str, metric: str) -> set[int]:
        """The steps at which a metric was logged."""
        with self._reached():
            return {int(point.step) for point in self._client.get_metric_history(run_id, metric)}

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each of a run's metrics."""
        return dict(self.run(run_id).metrics)

    def end(self, run_id: str, *, status: str = "FINISHED") -> None:
        """Close a run: FINISHED, FAILED or KILLED."""
        with self._reached():
            self._client.set_terminated(run_id, status=status)

    def page(self, run: Run, artifact: str = "") -> str:
        """Where MLflow's web page shows a run, or one of its files; relative to the server's address."""
        return f"#/experiments/{run.experiment_id}/runs/{run.run_id}" + (f"/artifacts/{artifact}" if artifact else "")

    def _start(self, experiment_id: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        run = self._client.create_run(experiment_id, run_name=name, tags=dict(tags))
        if params:
            values = [Param(key, str(value)[:MAX_PARAM]) for key, value in params.items()]
            self._client.log_batch(run.info.run_id, params=values)
        return str(run.info.run_id)

    def _experiment_of(self, run_id: str) -> str:
        if run_id not in self._experiments:
            self._experiments[run_id] = str(self._client.get_run(run_id).info.experiment_id)
        return self._experiments[run_id]

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


def _run(found: Any) -> Run:
    return Run(
        run_id=str(found.info.run_id),
        experiment_id=str(found.info.experiment_id),
        name=str(found.info.run_name),
        status=str(found.info.status),
        params=dict(found.data.params),
        metrics=dict(found.data.metrics),
        tags=dict(found.data.tags),
    )
