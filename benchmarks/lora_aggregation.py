"""Which way of combining low-rank adapters loses nothing?

An adapter is a product B·A. Clients' A and B may be averaged apart (biased: a mean of products is no product of
means), the products averaged and factored again (exact up to the rank, but only a mean: no robust strategy, no
encoding of what is combined), or A fixed and only B trained (exact under every strategy, half the traffic). The last
is what the platform does; with twice the rank it sends as much as the others. `lite`, adapters in the last two blocks
of both towers, clients of different kinds on ../shared/fashion (BENCH_SOURCE names another catalogue).
Usage: python -m benchmarks.lora_aggregation [--products 3000] [--rounds 6]
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.inprocess import Bench, load_catalogue
from benchmarks.reporting import Bar, report, table
from clients.learning import training_seed
from federation.adapters import FIXED, TRAINED
from federation.config import FederationConfig
from federation.encoder import Encoder
from federation.features import ProductFeatures
from federation.model import Model
from federation.tensors import Tensors, add, size_bytes
from federation.training import train

CLIENTS, PARTITION = 4, "dirichlet(0.3, subCategory)"
CONFIG = FederationConfig(
    trainable="lora", lora_rank=8, local_epochs=1, dropout=0.3, learning_rate=4e-3, tower_learning_rate=2e-3
)
LOSS_BAR = 0.01
Combine = Callable[[Tensors, list[Tensors], list[int], int], Tensors]


@dataclass(frozen=True)
class Way:
    """One way to combine."""

    name: str
    config: FederationConfig
    combine: Combine
    trains_both: bool


def apart(state: Tensors, ends: list[Tensors], sizes: list[int], rank: int) -> Tensors:  # noqa: ARG001
    """Every tensor's weighted mean, adapters' halves included."""
    total = sum(sizes)
    return {
        name: np.asarray(sum(end[name] * np.float32(n / total) for end, n in zip(ends, sizes, strict=True)), np.float32)
        for name in state
    }


def products(state: Tensors, ends: list[Tensors], sizes: list[int], rank: int) -> Tensors:
    """The weighted mean of the products, factored again by its largest singular values."""
    mean = apart(state, ends, sizes, rank)
    for name in [name for name in state if TRAINED in name]:
        half = name.replace(TRAINED, FIXED)
        total = sum(sizes)
        whole = sum(_flat(e[name]) @ _flat(e[half]) * (n / total) for e, n in zip(ends, sizes, strict=True))
        left, values, right = np.linalg.svd(np.asarray(whole, np.float64), full_matrices=False)
        roots = np.sqrt(values[:rank])
        mean[name] = (left[:, :rank] * roots).astype(np.float32).reshape(state[name].shape)
        mean[half] = (roots[:, None] * right[:rank]).astype(np.float32).reshape(state[half].shape)
    return mean


WAYS = (
    Way("A and B apart", CONFIG, apart, trains_both=True),
    Way("products, factored again", CONFIG, products, trains_both=True),
    Way("A fixed", CONFIG, apart, trains_both=False),
    Way("A fixed, twice the rank", replace(CONFIG, lora_rank=2 * CONFIG.lora_rank), apart, trains_both=False),
)


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--products", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    bench = Bench.open(CONFIG, load_catalogue(limit=given.products))
    clients = bench.clients(CLIENTS, PARTITION)
    found = {way.name: run(bench, clients, way, given.rounds) for way in WAYS}
    rows = [(name, f"{recall:.4f}", f"{size:,}") for name, (recall, size) in found.items()]
    best = max(recall for recall, _ in found.values())
    report(
        "lora_aggregation",
        __doc__ or "",
        shown=table(("way", "recall@10 on val", "bytes of an update"), rows),
        figures={name: {"recall_at_10": recall, "bytes": size} for name, (recall, size) in found.items()},
        bars=[Bar("A fixed, same bytes: recall@10 below the best", LOSS_BAR, round(best - found[WAYS[-1].name][0], 4))],
    )


def run(bench: Bench, clients: Mapping[str, ProductFeatures], way: Way, rounds: int) -> tuple[float, int]:
    """Best recall@10 on val over the rounds, and the bytes of one update in fp32."""
    config = replace(way.config, rounds=rounds, final_learning_rate=0.1)
    model = trainable_model(bench, config, way)
    state, best = model.state(), 0.0
    for number in range(1, rounds + 1):
        ends = []
        for name, held in sorted(clients.items()):
            model.load(state)
            update = train(model, held, config=config, round_number=number, seed=training_seed(0, name, number))
            ends.append(add(state, update.delta))
        state = way.combine(state, ends, [len(held) for held in clients.values()], config.lora_rank)
        best = max(best, recall_of(bench, model, state))
        print(f"{way.name}, round {number}: {best:.4f}", flush=True)
    return best, size_bytes(state)


def trainable_model(bench: Bench, config: FederationConfig, way: Way) -> Model:
    """The platform's model; where a way trains both halves, both are switched on."""
    model = bench.model(config)
    for name, parameter in model.named_parameters():
        if FIXED in name:
            parameter.requires_grad_(way.trains_both)
    return model


def recall_of(bench: Bench, model: Model, state: Tensors) -> float:
    """On val, over the whole gallery. The state may hold halves that do not travel otherwise: it needs this model."""
    model.load(state)
    # An encoder folds adapters into what it is given.
    encoder = Encoder(copy.deepcopy(model), towers=bench.gallery.towers)
    return bench.gallery.rank(encoder, "val").recall_at_10


def _flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1)


if __name__ == "__main__":
    main()
