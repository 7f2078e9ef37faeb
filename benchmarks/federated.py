"""Does training together reach what training in one place reaches, at a hundredth of the traffic?

Ten clients of very different kinds (dirichlet(0.1, subCategory)) on ../shared/fashion (BENCH_SOURCE names another
catalogue), heads of `lite`, int8 in both directions; against all products in one place with settings of its own, each
client alone, and no training. All see each product equally often. Both sides' settings were chosen on val; test is
looked at once, each side with the round that was best on val.
Usage: python -m benchmarks.federated
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.inprocess import Bench, Clients, load_catalogue
from benchmarks.reporting import Bar, report, table
from federation.comparison import paired_bootstrap
from federation.config import FederationConfig
from federation.evaluation import Retrieval
from federation.features import ProductFeatures
from federation.tensors import size_bytes
from server.baselines import best_on_val, in_one_place

CLIENTS, PARTITION = 10, "dirichlet(0.1, subCategory)"
SHARED = FederationConfig(rounds=60, local_epochs=1, views=2, learning_rate=4e-3, final_learning_rate=0.01)
FEDERATED = replace(
    SHARED, dropout=0.2, batch_size=256, weight_decay=1.0,
    strategy="fednova", optimiser_state="kept", encoding="int8", encoding_down="int8",
)  # fmt: skip
"""Chosen on val, among strategies, server optimisers, batches, rates, dropout, and 20 x 3 to 120 x 1 epochs."""
CENTRALISED = replace(SHARED, dropout=0.3, batch_size=1024, weight_decay=1.0)
"""Chosen on val: larger batches and a higher rate than the default."""
WHOLE = FederationConfig(trainable="full", image_blocks=-1, text_blocks=-1)


def main() -> None:
    """Measure, print, write the result."""
    bench = Bench.open(FEDERATED, load_catalogue())
    clients = bench.clients(CLIENTS, PARTITION)
    federated, share = federate(bench, clients)
    found = {"federated": federated, "centralised": alone(bench, bench.products, CENTRALISED)}
    found |= {name: alone(bench, products, FEDERATED) for name, products in clients.items()}
    found["zero shot"] = bench.gallery.evaluate(bench.start(FEDERATED), "test")
    best_alone = max(clients, key=lambda name: found[name].recall_at_10)
    ratio = federated.recall_at_10 / found["centralised"].recall_at_10
    over_zero, over_alone = (interval(federated, found[name])[0] for name in ("zero shot", best_alone))
    report(
        "federated",
        __doc__ or "",
        shown=shown(found),
        figures={
            "gallery": federated.gallery,
            "queries": federated.queries,
            "recall_at_10": {name: retrieval.recall_at_10 for name, retrieval in found.items()},
            "gain_over": {name: interval(federated, other) for name, other in found.items() if name != "federated"},
            "best_alone": best_alone,
            "share_of_bytes": share,
        },
        bars=[
            Bar("recall@10 of the centralised run that the federation reaches", 0.97, round(ratio, 4), is_floor=True),
            Bar("share of the bytes of fp32 FedAvg over the whole model", 0.01, round(share, 5)),
            Bar("gain over zero shot, lower end", 0.0, over_zero, is_floor=True),
            Bar("gain over the best client alone, lower end", 0.0, over_alone, is_floor=True),
        ],
    )  # fmt: skip


def federate(bench: Bench, clients: Clients) -> tuple[Retrieval, float]:
    """The federation's test result, and its share of the bytes of plain FedAvg over the whole model."""
    outcomes = []
    for outcome in bench.federate(clients, FEDERATED):
        outcomes.append(outcome)
        print(f"round {outcome.round}: recall@10 {outcome.val.recall_at_10:.4f} on val", flush=True)
    best = max(outcomes, key=lambda outcome: outcome.val.recall_at_10)
    travelled = sum(outcome.bytes_up + outcome.bytes_down for outcome in outcomes)
    plain = 2 * size_bytes(bench.start(WHOLE)) * len(clients) * FEDERATED.rounds
    return bench.gallery.evaluate(best.state, "test"), travelled / plain


def alone(bench: Bench, products: ProductFeatures, config: FederationConfig) -> Retrieval:
    """The test result of as many passes over these products by one optimiser."""
    _, state = best_on_val(bench.gallery, in_one_place(bench.gallery, products, config))
    return bench.gallery.evaluate(state, "test")


def interval(ours: Retrieval, other: Retrieval) -> tuple[float, float]:
    """How much more ours finds, 95 %."""
    found = paired_bootstrap(ours.recall_at_10_by_query, other.recall_at_10_by_query)
    return round(found.lower, 5), round(found.upper, 5)


def shown(found: dict[str, Retrieval]) -> str:
    """A row for each contender, best first."""
    federated = found["federated"]
    rows = [
        (name, f"{r.recall_at_10:.4f}", f"{r.recall_at_1:.4f}", *(f"{v:+.4f}" for v in interval(federated, r)))
        for name, r in sorted(found.items(), key=lambda entry: -entry[1].recall_at_10)
    ]
    head = (f"gallery of {federated.gallery:,}, {federated.queries:,} titles", "recall@10", "recall@1",
            "federated gains", "to")  # fmt: skip
    return table(head, rows)


if __name__ == "__main__":
    main()
