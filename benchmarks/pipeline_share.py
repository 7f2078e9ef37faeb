"""What share of the pipeline's wall time do orchestration and tracking take?

The three DAGs as `tejido demo` runs them: real Airflow, real MLflow, three clients on this machine. Wall time is from
the trigger of the first DAG to the end of the last. Orchestration is the part of it in which no `tejido` command of a
task was running, looked at ten times a second: Airflow deciding, starting tasks, ending them. Tracking is what the
coordinator waited for MLflow in the training. Ten rollbacks on the same stack, to and fro, go by their own word.
Usage: python -m benchmarks.pipeline_share [--rounds 5] [--products 3000] [--source dir:../shared/fashion]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

import psutil
from valkey import Valkey

from benchmarks.deployed import CLIENTS
from benchmarks.inprocess import SOURCE
from benchmarks.reporting import Bar, report, table
from cli.airflow import Airflow
from cli.demo.pipeline import PIPELINE, Follower
from core.progress import NoProgress
from embedded.layout import Parts
from embedded.stack import Stack
from server.rollback import rollback
from server.tracking import CHAMPION, PREVIOUS, Tracker

LOOK_EVERY_S = 0.1
RUN = "pipeline-share"
ROLLBACKS = 10


class Watch(threading.Thread):
    """Adds up the time in which a command of this stack's tasks runs."""

    def __init__(self, state: Path) -> None:
        super().__init__(daemon=True)
        self.working_s = 0.0
        self.over = threading.Event()
        self._state = str(state)
        self._known: dict[tuple[int, float], bool] = {}

    def run(self) -> None:
        """Look, until it is over."""
        before = time.monotonic()
        while not self.over.wait(LOOK_EVERY_S):
            now = time.monotonic()
            if any(self._is_command(process) for process in psutil.process_iter(["create_time"])):
                self.working_s += now - before
            before = now

    def _is_command(self, process: psutil.Process) -> bool:
        # A process is looked at once; a command that has ended is a zombie for an instant at most.
        key = (process.pid, process.info["create_time"])
        if key not in self._known:
            try:
                line = process.cmdline()
                is_task = "--format" in line and any(part.endswith("/tejido") for part in line[:2])
                self._known[key] = is_task and self._state in process.environ().get("TEJIDO_ENV_FILE", "")
            except psutil.Error:
                return False
        return self._known[key]


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--products", type=int, default=3000)
    parser.add_argument("--source", default=SOURCE)
    options = parser.parse_args()
    kind, _, place = options.source.partition(":")
    # A task has another working folder.
    source = f"dir:{Path(place).resolve()}" if kind == "dir" else options.source
    conf = {"source": source, "products": options.products, "rounds": options.rounds, "preset": "lite"}
    conf |= {"partition": "iid", "seed": 0}
    with (
        tempfile.TemporaryDirectory(prefix="tj-") as folder,
        Stack(Path(folder), CLIENTS, parts=Parts(api=False)) as stack,
    ):
        settings = stack.settings()
        password = Path(settings.required("airflow_password_file")).read_text()
        airflow = Airflow(settings.required("airflow_url"), username=settings.airflow_username, password=password)
        for dag_id in PIPELINE:
            airflow.wait_for_dag(dag_id)
        watch = Watch(Path(folder))
        began = time.monotonic()
        watch.start()
        follower = Follower(airflow, Valkey.from_url(settings.required("valkey_url")), NoProgress(), stack.check)
        runs = follower.run_pipeline(RUN, conf)
        wall_s = time.monotonic() - began
        watch.over.set()
        watch.join()
        training = airflow.result(PIPELINE[1], runs[1].run_id, "train")
        tracker = Tracker.of(settings)
        tracker.set_alias(PREVIOUS, _another_version(tracker))
        rollbacks = [float(rollback(settings, reason="benchmark")["seconds"]) for _ in range(ROLLBACKS)]
    tracking_s = float(training["mlflow"]["seconds"])
    orchestration_s = wall_s - watch.working_s
    shares = {"orchestration": orchestration_s / wall_s, "tracking": tracking_s / wall_s}
    report(
        "pipeline_share",
        __doc__ or "",
        shown=table(
            ("part", "seconds", "share"),
            [
                ("pipeline", f"{wall_s:.1f}", ""),
                *((run.dag_id, f"{run.seconds or 0:.1f}", "") for run in runs),
                ("orchestration", f"{orchestration_s:.1f}", f"{shares['orchestration']:.1%}"),
                ("tracking", f"{tracking_s:.1f}", f"{shares['tracking']:.1%}"),
            ],
        ),
        figures={
            "products": options.products,
            "rounds": options.rounds,
            "wall_s": wall_s,
            "orchestration_s": orchestration_s,
            "tracking_s": tracking_s,
            "rollbacks_s": rollbacks,
        },
        bars=[
            Bar("share of orchestration and tracking", 0.05, sum(shares.values())),
            Bar("share of tracking", 0.05, shares["tracking"]),
            Bar("seconds of a rollback, median", 1.0, statistics.median(rollbacks)),
        ],
    )


def _another_version(tracker: Tracker) -> str:
    """A second registration of the champion's files, marked as one that was champion: what a rollback needs."""
    champion = tracker.require(CHAMPION)
    with tempfile.TemporaryDirectory() as folder:
        files = tracker.download(champion, Path(folder))
        tags = {"content_hash": champion.content_hash, "preset": champion.preset, "promoted": "true"}
        return tracker.register(champion.run_id, files, tags=tags)


if __name__ == "__main__":
    main()
