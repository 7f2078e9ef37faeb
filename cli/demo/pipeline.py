"""Triggers the pipeline in Airflow and follows its three DAG runs to their end, watching the services meanwhile.

Only the first run has an id of ours. The next ones are started by assets, and Airflow tells which run each of them
started.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from valkey import Valkey
from valkey.exceptions import ValkeyError

from cli.airflow import Airflow, DagRun
from cli.errors import NothingPromoted, RunTimedOut, TaskFailed
from core.progress import Progress

PIPELINE = ("catalog_etl", "federated_finetune", "index_catalog")
INDEXING = {"announce_champion", "start_indexing"}
"""The tasks of which one leads to an index, where there is a champion."""
AFTER = "after_"
"""How the id of an index run begins that no champion has started; the id of the training run follows."""
POLL_S = 0.5
START_WITHIN_S = 60.0
"""How long a DAG may take to appear after the one before it has ended."""


@dataclass
class Follower:
    """What following needs: Airflow, the shared progress, a listener, and a check that the services live."""

    airflow: Airflow
    shared: Valkey
    progress: Progress
    check_services: Callable[[], None]
    timeout_s: float = 6 * 3600
    _shown: dict[bytes, bytes] = field(default_factory=dict)

    def run_pipeline(self, run_id: str, conf: Mapping[str, Any]) -> list[DagRun]:
        """Trigger ``catalog_etl``, whose catalogue starts the next, and follow all three.

        Raises:
            TaskFailed: a task failed; its log's tail is in the message.
            NothingPromoted: the model was not good enough, and there was none before.
            RunTimedOut: the pipeline did not end in time.
        """
        for dag_id in PIPELINE:
            self.airflow.wait_for_dag(dag_id)
        etl, finetune, index = PIPELINE
        self.airflow.trigger(etl, run_id, conf)
        runs = [self._follow(etl, lambda: run_id, run_id)]
        runs.append(self._follow(finetune, lambda: self.airflow.run_made_by(etl, run_id, finetune), run_id))
        trained = runs[-1].run_id
        if self.airflow.skipped_tasks(finetune, trained) >= INDEXING:
            reason = self.airflow.result(finetune, trained, "promote")["reason"]
            raise NothingPromoted(
                f"There is no champion to search with: {reason}.", hint="Train longer, or on more products."
            )
        return [*runs, self._follow(index, lambda: self._indexing(trained), run_id)]

    def _indexing(self, trained: str) -> str | None:
        """The index run that a training run has led to: by a new champion, or else for the catalogue's sake."""
        _, finetune, index = PIPELINE
        for_the_catalogue = AFTER + trained
        found = self.airflow.run_made_by(finetune, trained, index)
        return found or (for_the_catalogue if self.airflow.run(index, for_the_catalogue) else None)

    def _follow(self, dag_id: str, find: Callable[[], str | None], key: str) -> DagRun:
        """Follow the run that ``find`` names once it is there; ``key`` is where its commands share their progress."""
        started = time.monotonic()
        run_id: str | None = None
        while True:
            self.check_services()
            self._show_progress(key)
            run_id = run_id or find()
            run = self.airflow.run(dag_id, run_id) if run_id else None
            waited = time.monotonic() - started
            if run is None and waited > START_WITHIN_S:
                raise RunTimedOut(
                    f"{dag_id} was not started within {START_WITHIN_S:.0f} s.", hint="Look at its runs in Airflow."
                )
            if run is not None and run.is_finished:
                self._show_progress(key)
                return self._succeeded(run)
            if waited > self.timeout_s:
                raise RunTimedOut(f"{dag_id} did not end within {self.timeout_s:.0f} s.", hint="Look at it in Airflow.")
            time.sleep(POLL_S)

    def _succeeded(self, run: DagRun) -> DagRun:
        failed = self.airflow.failed_task(run.dag_id, run.run_id)
        if run.state == "success" and failed is None:
            return run
        if failed is None:
            raise TaskFailed(f"{run.dag_id} ended as {run.state}, and none of its tasks failed.")
        task_id, try_number = failed
        tail = self.airflow.log_tail(run.dag_id, run.run_id, task_id, try_number)
        raise TaskFailed(f"Task {run.dag_id}.{task_id} failed (try {try_number}). The end of its log:\n{tail}")

    def _show_progress(self, run_id: str) -> None:
        try:
            stages: Any = self.shared.hgetall(f"tejido:progress:{run_id}")
        except ValkeyError:
            # Drawing can wait; that Valkey has died is what check_services reports.
            return
        for stage, value in stages.items():
            if self._shown.get(stage) == value:
                continue
            self._shown[stage] = value
            told = json.loads(value)
            self.progress.update(stage.decode(), told["done"], told["total"], told["detail"])
