"""Does a run survive kills?

A real stack (PostgreSQL, S3, MLflow, a SuperLink, three clients; no Airflow) over drawn products. First one run is left
alone. Then each run has a SuperNode, a client's ClientApps, the SuperLink or the coordinator killed (-9) at a random
point. What died is started anew by a supervisor, and the command is tried again as the Airflow task `train` does: three
times, 20 s apart, after exit status 75 or its own death. A run holds if it ends `completed`, at most one of its rounds
was played more than once, and its final state hashes the same as that of the run which was left alone.
Usage: python -m benchmarks.kills [--runs 20] [--seed 0] [--rounds 4]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil

from benchmarks.deployed import CLIENTS, federation_run, running
from benchmarks.reporting import Bar, report
from embedded.errors import EmbeddedError
from embedded.stack import Stack
from embedded.sweep import processes_of_service, tasks_of_service
from server.checkpoints import RunFolder
from server.stores import open_stores

VICTIMS = ("coordinator", "superlink", "supernode", "clientapps")
RETRIES, DELAY_S, TEMPORARY = 3, 20.0, 75
"""As in dags/federated_finetune.py."""
PRODUCTS = 300
SETTINGS = {
    "preset": "tiny", "local-epochs": 20, "strategy": "fedadam", "server-learning-rate": 0.01,
    # All three in every round: only then is there one final state.
    "quorum": 1.0, "min-clients": 3, "wait-s": 150.0, "deadline-s": 150.0,
}  # fmt: skip


@dataclass
class Played:
    """What one run came to."""

    run: str
    victim: str
    killed_after_s: float
    status: int = -1
    tries: int = 0
    seconds: float = 0.0
    final_sha256: str = ""
    resumed_from: int | None = None
    rounds: int = 0
    repeated: list[int] = field(default_factory=list)
    """Rounds that were begun more than once."""
    said: str = ""


def main() -> None:
    """Run, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--victim", choices=VICTIMS, help="kill this one only")
    options = parser.parse_args()
    generator = np.random.default_rng(options.seed)
    with running("synthetic", PRODUCTS) as stack, supervised(stack):
        bench = Bench(stack, options.rounds)
        alone = bench.play("undisturbed", "nobody", 0.0)
        show(alone, alone)
        if alone.status != 0:
            sys.exit(f"The run that was left alone failed: {alone.said}")
        played = []
        for number in range(options.runs):
            victim = options.victim or VICTIMS[number % len(VICTIMS)]
            # From the submission to the end, start and conclusion included.
            after_s = float(generator.uniform(0.0, alone.seconds))
            if victim in ("supernode", "clientapps"):
                victim = f"{victim}-{generator.choice(CLIENTS)}"
            played.append(bench.play(f"killed-{number}", victim, after_s))
            show(played[-1], alone)
    conclude(alone, played)


@contextmanager
def supervised(stack: Stack) -> Iterator[None]:
    """A supervisor starts anew what dies."""
    over = threading.Event()
    supervisor = threading.Thread(target=supervise, args=(stack, over), daemon=True)
    supervisor.start()
    try:
        yield
    finally:
        over.set()
        supervisor.join()


def supervise(stack: Stack, over: threading.Event) -> None:
    """Start anew what has died, as often as it takes: a killed SuperNode is refused for up to a minute."""
    while not over.wait(1.0):
        for slug in stack.ended():
            try:
                stack.restart(slug)
            except EmbeddedError as error:
                print(f"  {slug} is not back yet: {error.message}", file=sys.stderr)


@dataclass
class Bench:
    """Plays runs on one stack."""

    stack: Stack
    rounds: int

    def play(self, run: str, victim: str, after_s: float) -> Played:
        """Run the command as Airflow would, and kill the victim meanwhile."""
        played, began = Played(run, victim, round(after_s, 1)), time.monotonic()
        over = threading.Event()
        begun: dict[int, set[str]] = defaultdict(set)
        threads = [threading.Thread(target=self._watch, args=(run, begun, over))]
        if victim != "nobody":
            threads.append(threading.Thread(target=self._kill, args=(victim, after_s, over)))
        for thread in threads:
            thread.start()
        try:
            result = self._command(played)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        played.seconds = round(time.monotonic() - began, 1)
        if result is not None:
            attempts = {entry["round"]: entry["attempts"] for entry in result["rounds"]}
            played.rounds, played.resumed_from = len(attempts), result["resumed_from"]
            played.final_sha256 = result["final_sha256"]
            played.repeated = [n for n in attempts if len(begun[n]) + attempts[n] - 1 > 1]
        return played

    def _command(self, played: Played) -> dict[str, Any] | None:
        """`tejido federation run`, again while it may yet succeed."""
        while True:
            played.tries += 1
            done = federation_run(self.stack, played.run, rounds=self.rounds, settings=SETTINGS)
            played.status = done.returncode
            if done.returncode == 0:
                result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
                return result
            played.said = done.stderr.strip().splitlines()[-1][:400]
            print(f"  try {played.tries}: {played.said}", file=sys.stderr)
            if played.tries > RETRIES or done.returncode not in (TEMPORARY, -signal.SIGKILL):
                return None
            time.sleep(DELAY_S)

    def _watch(self, run: str, begun: dict[int, set[str]], over: threading.Event) -> None:
        """Note which coordinator began which round: each gives itself a token when it takes the run over."""
        store = open_stores(self.stack.settings()).checkpoints
        folder = RunFolder(store, run)
        while not over.wait(0.2):
            status = folder.status() or {}
            if status.get("stage") == "rounds" and status["message"].startswith(("round", "heard")):
                token = json.loads(store.get(f"{folder.name}/owner.json"))["token"]
                begun[status["done"] + 1].add(token)

    def _kill(self, victim: str, after_s: float, over: threading.Event) -> None:
        if over.wait(after_s):
            return
        # Of the coordinator only the process of the run: what forks it lives on, as a supervisor sees to.
        find = tasks_of_service if victim == "coordinator" else processes_of_service
        for process in list(find(self.stack.state.stack_id, victim)):
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                print(f"  kill -9 {process.pid} {line[:90]}", file=sys.stderr)
                process.kill()


def holds(played: Played, alone: Played) -> bool:
    """Whether a run came to what it would have come to without the kill."""
    return played.status == 0 and len(played.repeated) <= 1 and played.final_sha256 == alone.final_sha256


def show(played: Played, alone: Played) -> None:
    """One line of the table."""
    if played is alone:
        print(f"{'run':>12} {'killed':>18} {'after s':>8} {'tries':>6} {'resumed':>8} {'repeated':>9} {'seconds':>8}")
    resumed = "-" if played.resumed_from is None else str(played.resumed_from)
    print(
        f"{played.run:>12} {played.victim:>18} {played.killed_after_s:>8} {played.tries:>6} {resumed:>8} "
        f"{','.join(map(str, played.repeated)) or '-':>9} {played.seconds:>8} "
        f"{'holds' if holds(played, alone) else 'FAILS ' + played.said}",
        flush=True,
    )


def conclude(alone: Played, played: list[Played]) -> None:
    """Print the bars, write the result."""
    counts = {
        "runs that end completed": sum(entry.status == 0 for entry in played),
        "runs with the same final state as undisturbed": sum(e.final_sha256 == alone.final_sha256 for e in played),
        "runs with at most one round repeated": sum(e.status == 0 and len(e.repeated) <= 1 for e in played),
    }
    report(
        "kills",
        __doc__ or "",
        shown="",
        figures={"undisturbed": vars(alone), "killed": [vars(entry) for entry in played]},
        bars=[Bar(name, len(played), count, is_floor=True) for name, count in counts.items()],
    )


if __name__ == "__main__":
    main()
