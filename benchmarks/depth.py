"""What is training inside the towers worth, and how much of it does the best configuration get?

On the whole gallery of ../shared/fashion (BENCH_SOURCE names another catalogue), text to image:
- plain: a federation of three clients, linear heads of `lite`, as tuned on val;
- best: the same clients, `lite-160`; residual heads first, then, from there, the image tower's last five blocks and the
  text tower's last two layers too;
- everything: one optimiser, all products, all blocks of both towers of `lite`.
Each is the round that was best on val, looked at on test once. About three hours on one core.
Usage: python -m benchmarks.depth
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from benchmarks.inprocess import Bench, Catalogue, load_catalogue
from benchmarks.reporting import Bar, report, table
from federation.config import FederationConfig
from federation.evaluation import Retrieval
from federation.tensors import Tensors
from server.baselines import in_one_place

CLIENTS = 3
PLAIN = FederationConfig(
    rounds=60, local_epochs=1, views=2, batch_size=256, learning_rate=4e-3, final_learning_rate=0.01, dropout=0.2,
    strategy="fednova", optimiser_state="kept",
)  # fmt: skip
HEADS_FIRST = replace(PLAIN, preset="lite-160", head="residual", rounds=30, dropout=0.3, weight_decay=1.0)
BEST = replace(
    HEADS_FIRST, trainable="full", image_blocks=5, text_blocks=2, rounds=8, views=4, batch_size=64, dropout=0.3,
    weight_decay=0.1, learning_rate=1e-3, tower_learning_rate=7e-4, final_learning_rate=0.03,
)  # fmt: skip
EVERYTHING = FederationConfig(
    trainable="full", image_blocks=-1, text_blocks=-1, rounds=10, local_epochs=1, views=2, batch_size=128,
    learning_rate=2e-3, tower_learning_rate=5e-4, final_learning_rate=0.01, dropout=0.2,
)  # fmt: skip


def main() -> None:
    """Measure, print, write the result."""
    catalogue = load_catalogue()
    found = {
        "plain heads": federated(catalogue, PLAIN),
        "best": heads_first(catalogue),
        "everything, centralised": centralised(catalogue, EVERYTHING),
    }
    plain, ours, everything = (retrieval.recall_at_10 for retrieval, _ in found.values())
    report(
        "depth",
        __doc__ or "",
        shown=table(
            ("what", "recall@10", "recall@1", "seconds"),
            [(name, f"{r.recall_at_10:.4f}", f"{r.recall_at_1:.4f}", f"{s:.0f}") for name, (r, s) in found.items()],
        ),
        figures={name: {"recall_at_10": r.recall_at_10, "seconds": round(s)} for name, (r, s) in found.items()},
        bars=[
            Bar("recall@10 of plain heads that the best reaches", 1.6, round(ours / plain, 3), is_floor=True),
            Bar("recall@10 of everything trained that it reaches", 0.9, round(ours / everything, 3), is_floor=True),
        ],
    )


def federated(catalogue: Catalogue, config: FederationConfig) -> tuple[Retrieval, float]:
    """The best round's result on test, and the seconds that it all took, encoding included."""
    began = time.perf_counter()
    return trained(catalogue, config, {})[0], time.perf_counter() - began


def heads_first(catalogue: Catalogue) -> tuple[Retrieval, float]:
    """The same, from where a federation of the heads alone ended."""
    began = time.perf_counter()
    heads, learned = trained(catalogue, HEADS_FIRST, {})
    print(f"heads alone: recall@10 {heads.recall_at_10:.4f} on test", flush=True)
    return trained(catalogue, BEST, learned)[0], time.perf_counter() - began


def centralised(catalogue: Catalogue, config: FederationConfig) -> tuple[Retrieval, float]:
    """The same with all products under one optimiser."""
    began = time.perf_counter()
    bench = Bench.open(config, catalogue)
    rounds = in_one_place(bench.gallery, bench.products, config)
    found, _ = best(bench, ((bench.gallery.evaluate(state, "val"), state) for _, state in rounds))
    return found, time.perf_counter() - began


def trained(catalogue: Catalogue, config: FederationConfig, learned: Tensors) -> tuple[Retrieval, Tensors]:
    """The clients' best round from what was learned before: its result on test, and its state."""
    bench = Bench.open(config, catalogue)
    outcomes = bench.federate(bench.clients(CLIENTS), config, learned=learned)
    return best(bench, ((outcome.val, outcome.state) for outcome in outcomes))


def best(bench: Bench, rounds: Iterable[tuple[Retrieval, Tensors]]) -> tuple[Retrieval, Tensors]:
    """The result on test of the round that is best on val, and its state."""
    _, state = max(told(rounds), key=lambda found: found[0].recall_at_10)
    return bench.gallery.evaluate(state, "test"), state


def told(rounds: Iterable[tuple[Retrieval, Tensors]]) -> Iterator[tuple[Retrieval, Tensors]]:
    """Progress: one line a round."""
    for number, (val, state) in enumerate(rounds, start=1):
        print(f"round {number}: recall@10 {val.recall_at_10:.4f} on val", flush=True)
        yield val, state


if __name__ == "__main__":
    main()
