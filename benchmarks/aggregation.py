"""Is streaming aggregation as fast as memory allows, and as small?

Over a model of ViT-B/32's shapes (605 MB in fp32), in one thread, as the coordinator aggregates. The limit is memcpy of
the same fp32 model, the faster of PyTorch's and NumPy's, timed beside each addition: the bars compare the *times*. That
is strict, as an addition must also read the sum: moved bytes a second (memcpy reads and writes the model, an addition
reads the encoded update and the sum, and writes the sum) are told beside it. Peaks are VmHWM of a fresh process above
what it held before the first reply; a reply is made when it is pulled and let go when it is added.
Usage: python -m benchmarks.aggregation
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from flwr.app import MetricRecord, RecordDict
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords

from benchmarks.replies import drawn, error, pulled, vit_b_32
from benchmarks.reporting import Bar, report, table
from federation.accumulate import StreamingMean
from federation.config import ENCODINGS, FederationConfig
from federation.strategies import new_strategy
from federation.tensors import Tensors, size_bytes
from federation.torch_fixes import compute_alone
from federation.wire import EncodedUpdate, to_record, unpack

PROJECT = Path(__file__).parents[1]
PAIRS = 25
FLOWER_PAIRS = 5
REPLIES = {"aurora": 9412, "boreal": 588, "cobre": 3000, "duna": 7001}
"""Products behind each reply that Flower's aggregation and ours are given."""
CLIENTS = (10, 100)
MB = 1e6
SPEED = {"fp32": 0.80, "fp16": 0.60, "int8": 0.60}
"""Least time of memcpy over time of an addition."""


def main() -> None:
    """Measure, print, write the result."""
    compute_alone()
    model = {name: np.empty(shape, np.float32) for name, shape in vit_b_32().items()}
    additions = {encoding: measure_addition(model, encoding) for encoding in ENCODINGS}
    flower = against_flower(model)
    size = size_bytes(model) / MB
    peaks = {str(clients): in_fresh_process(clients) for clients in CLIENTS}
    figures = {
        "model_mb": size,
        "threads": torch.get_num_threads(),
        "additions": additions,
        "flower": flower,
        "error_of_100_clients": error_of(clients=100),
        "peaks": peaks,
    }
    report("aggregation", __doc__ or "", shown=shown(figures), figures=figures, bars=bars(figures))


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure_addition(model: Tensors, encoding: str) -> dict[str, float]:
    """Adding one update to a sum that exists, against memcpy of the fp32 model: medians over pairs, and quartiles."""
    record = to_record(drawn(model, 0), encoding=encoding)
    update = unpack(record, like=model, encoding=encoding)
    mean, memcpy = StreamingMean(), Memcpy(size_bytes(model))
    first = seconds(lambda: mean.add(update, weight=3.0))
    copies, adds = [], []
    for _ in range(PAIRS):
        copies.append(memcpy.seconds())
        adds.append(seconds(lambda: mean.add(update, weight=3.0)))
    ratios = [copy / add for copy, add in zip(copies, adds, strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    size, encoded = size_bytes(model), encoded_bytes(update)
    return {
        "memcpy_seconds": median(copies),
        "seconds": median(adds),
        "first_seconds": first,
        "time_ratio": middle,
        "time_ratio_lower_quartile": low,
        "time_ratio_upper_quartile": high,
        "memcpy_gb_per_second": 2 * size / median(copies) / 1e9,
        "gb_per_second": (encoded + 2 * size) / median(adds) / 1e9,
        "bandwidth_ratio": middle * (encoded + 2 * size) / (2 * size),
        "unpack_seconds": seconds(lambda: unpack(record, like=model, encoding=encoding)),
        "norm_seconds": seconds(update.norm),
        "digest_seconds": seconds(update.digest),
    }


def encoded_bytes(update: EncodedUpdate) -> int:
    """What an addition reads of an update."""
    return sum(t.values.nbytes + (0 if t.scales is None else t.scales.nbytes) for t in update.tensors.values())


class Memcpy:
    """Copying as many bytes, to memory that is there already."""

    def __init__(self, size: int) -> None:
        self._source, self._target = np.ones(size // 4, np.float32), np.zeros(size // 4, np.float32)
        self._target.fill(0)

    def seconds(self) -> float:
        """The faster of PyTorch's and NumPy's."""
        source, target = torch.from_numpy(self._source), torch.from_numpy(self._target)
        return min(seconds(lambda: target.copy_(source)), seconds(lambda: np.copyto(self._target, self._source)))


def against_flower(model: Tensors) -> dict[str, float]:
    """Flower's aggregation of the same fp32 replies, messages unpacked by both; errors against double precision."""
    replies = [
        RecordDict({"arrays": to_record(drawn(model, seed)), "metrics": MetricRecord({"num-examples": examples})})
        for seed, examples in enumerate(REPLIES.values())
    ]
    pairs = [
        (seconds(lambda: aggregate_arrayrecords(replies, "num-examples")), seconds(lambda: aggregated(replies, model)))
        for _ in range(FLOWER_PAIRS)
    ]
    ours = aggregated(replies, model)
    repacked = seconds(lambda: to_record(ours))
    theirs = {name: array.numpy() for name, array in aggregate_arrayrecords(replies, "num-examples").items()}
    return {
        "replies": len(replies),
        "flower_seconds": median(flower for flower, _ in pairs),
        "seconds": median(own for _, own in pairs),
        "speedup": median(flower / own for flower, own in pairs),
        "speedup_with_the_mean_packed_as_flower_packs_it": median(flower / (own + repacked) for flower, own in pairs),
        "error": error(ours, replies),
        "flower_error": error(theirs, replies),
    }


def aggregated(replies: list[RecordDict], model: Tensors) -> Tensors:
    """Our mean of Flower's replies."""
    mean = StreamingMean()
    for reply in replies:
        weight = float(reply.metric_records["metrics"]["num-examples"])  # type: ignore[arg-type]
        mean.add(unpack(reply.array_records["arrays"], like=model), weight=weight)
    return mean.mean()


def error_of(*, clients: int) -> dict[str, float]:
    """The largest error by encoding, of a million values from many clients."""
    like: Tensors = {"matrix": np.empty((1000, 1000), np.float32)}
    weights = np.random.default_rng(0).integers(1, 10_000, clients)
    found = {}
    for encoding in ENCODINGS:
        mean, exact = StreamingMean(), np.zeros((1000, 1000))
        for seed, weight in enumerate(weights):
            update = unpack(to_record(drawn(like, seed), encoding=encoding), like=like, encoding=encoding)
            mean.add(update, weight=float(weight))
            exact += weight * update.decode()["matrix"].astype(np.float64)
        found[encoding] = float(np.abs(mean.mean()["matrix"] - exact / weights.sum()).max())
    return found


def in_fresh_process(clients: int) -> dict[str, float]:
    """`peak` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.aggregation", str(clients)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT).stdout
    return json.loads(output.splitlines()[-1])  # type: ignore[no-any-return]


def peak(clients: int) -> dict[str, float]:
    """One whole round of FedAvg in this process, in MB of memory: before the first reply, and at most."""
    compute_alone()
    state = {name: np.zeros(shape, np.float32) for name, shape in vit_b_32().items()}
    for array in state.values():
        array.fill(1)
    strategy, start = new_strategy(FederationConfig()), time.perf_counter()
    base = process_mb("VmRSS")
    strategy.begin()
    for record in pulled(state, clients):
        update = unpack(record, like=state)
        if not math.isfinite(update.norm()):
            raise ValueError("The update is broken.")
        strategy.add(update, examples=1000)
        # Before the next reply arrives.
        del update, record
    strategy.finish(state)
    return {"base_mb": base, "peak_mb": process_mb("VmHWM"), "seconds": time.perf_counter() - start}


def process_mb(what: str) -> float:
    """A figure of this process's memory: VmRSS (now) or VmHWM (at most so far)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024 / MB
    raise KeyError(what)


def bars(figures: dict[str, Any]) -> list[Bar]:
    """What the figures must come to."""
    few, many = (figures["peaks"][str(clients)] for clients in CLIENTS)
    used = [one["peak_mb"] - one["base_mb"] for one in (few, many)]
    speed = [
        Bar(
            f"{encoding}: time of memcpy over time of an addition",
            least,
            figures["additions"][encoding]["time_ratio"],
            is_floor=True,
        )
        for encoding, least in SPEED.items()
    ]
    return [
        *speed,
        Bar("times as fast as Flower's aggregation", 3.0, figures["flower"]["speedup"], is_floor=True),
        Bar("peak above the base, MB", 2 * figures["model_mb"] + 64, max(used)),
        Bar("peak with 100 clients over that with 10, difference", 0.02, abs(used[1] / used[0] - 1)),
        Bar(
            "largest error against double precision",
            1e-6,
            max(figures["flower"]["error"], *figures["error_of_100_clients"].values()),
        ),
    ]


def shown(figures: dict[str, Any]) -> str:
    """The tables."""
    times = ("first", "unpack", "norm", "digest")
    head = ("encoding", "memcpy ms", "add ms", "ratio", "quartiles", "GB/s", "of memcpy's", *(f"{t} ms" for t in times))
    rows = [
        (
            encoding,
            *(f"{1e3 * one[key]:.1f}" for key in ("memcpy_seconds", "seconds")),
            f"{one['time_ratio']:.2f}",
            "–".join(f"{one[f'time_ratio_{side}_quartile']:.2f}" for side in ("lower", "upper")),
            f"{one['gb_per_second']:.1f}",
            f"{one['bandwidth_ratio']:.2f}",
            *(f"{1e3 * one[f'{key}_seconds']:.1f}" for key in times),
        )
        for encoding, one in figures["additions"].items()
    ]
    peaks = [
        (clients, *(f"{one[key]:,.0f}" for key in ("base_mb", "peak_mb")), f"{one['peak_mb'] - one['base_mb']:,.0f}")
        for clients, one in figures["peaks"].items()
    ]
    flower = [(key.replace("_", " "), f"{value:.3g}") for key, value in figures["flower"].items()]
    return "\n\n".join(
        (
            table(head, rows),
            table((f"of {len(REPLIES)} fp32 replies", ""), flower),
            table(("clients", "base MB", "peak MB", "above"), peaks),
        )
    )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(json.dumps(peak(int(sys.argv[1]))))
    else:
        main()
