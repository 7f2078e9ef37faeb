"""The task that trains: it hands the run to Flower, gives its worker free, and comes back for the result."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator
from federated_run_trigger import FederatedRunTrigger
from platform_command import current_run, failure, progress_key, run_tejido

OPTIONS = ("rounds", "preset", "seed", "trainable", "strategy", "encoding", "clients")
"""Parameters that are options of the command; `settings` are its ``--set``."""


class FederatedRun(BaseOperator):
    """Trains under the key of its DAG run: done twice, it trains once; tried again, it goes on after the last round."""

    def __init__(self, *, within: timedelta, **options: Any) -> None:
        super().__init__(**options)
        self.within = within

    def execute(self, context: Any) -> Any:  # noqa: ARG002
        """Start the run, or go on with it, then wait without a worker."""
        params, run = current_run()
        options = [part for name in OPTIONS for part in (f"--{name}", params[name])]
        settings = [part for key, value in params["settings"].items() for part in ("--set", f"{key}={value}")]
        key = progress_key(run)
        started = run_tejido("federation", "start", "--run", run, *options, *settings, progress_key=key)
        if not started["is_complete"]:
            trigger = FederatedRunTrigger(run=run, progress_key=key)
            self.defer(trigger=trigger, method_name="conclude", timeout=self.within)
        return self._result(run)

    def conclude(self, context: Any, event: dict[str, Any]) -> Any:  # noqa: ARG002
        """Take the result; a run that was broken off fails this try, and the next one goes on with it."""
        _, run = current_run()
        if event["status"] != 0:
            raise failure("federation wait", event["status"], event["said"])
        return self._result(run)

    def _result(self, run: str) -> Any:
        return run_tejido("federation", "wait", run, progress_key=progress_key(run))
