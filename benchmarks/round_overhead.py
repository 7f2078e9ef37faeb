"""What does a round of a real deployment cost besides training?

A stack as `tejido demo` starts it, three clients on this machine, heads of `lite`, ten rounds. Overhead is what a round
took less the slowest client's training and less the evaluation on val: starting the clients' processes, their waiting
for messages, the way of state and updates there and back, validation, aggregation, checkpoint and reports. The first
round, in which clients encode their pictures, is shown and does not count.
Usage: python -m benchmarks.round_overhead [--rounds 10] [--products 1500] [--source dir:../shared/fashion]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys

from benchmarks.deployed import CLIENTS, federation_run, running
from benchmarks.inprocess import SOURCE
from benchmarks.reporting import Bar, report, table

SETTINGS = {"quorum": 1.0, "min-clients": len(CLIENTS), "local-epochs": 3}


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--products", type=int, default=1500)
    parser.add_argument("--source", default=SOURCE)
    options = parser.parse_args()
    with running(options.source, options.products) as stack:
        done = federation_run(stack, "overhead", rounds=options.rounds, settings=SETTINGS)
    if done.returncode != 0:
        sys.exit(f"The run failed: {done.stderr.strip().splitlines()[-1]}")
    rounds = json.loads(done.stdout.splitlines()[-1])["rounds"]
    overheads = [entry["overhead_seconds"] for entry in rounds[1:]]
    lower, middle, upper = statistics.quantiles(overheads, n=4)
    report(
        "round_overhead",
        __doc__ or "",
        shown=table(
            ("round", "seconds", "overhead"),
            [(entry["round"], f"{entry['seconds']:.1f}", f"{entry['overhead_seconds']:.1f}") for entry in rounds],
        ),
        figures={"products": options.products, "rounds": rounds, "quartiles": [lower, middle, upper]},
        bars=[Bar("seconds of overhead in a round, median", 8.0, middle)],
    )


if __name__ == "__main__":
    main()
