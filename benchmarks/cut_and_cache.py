"""What does a round cost when nothing that is frozen is computed twice?

The same training twice: on activations from the cache, as a client does from its second round on, and with all
pictures and captions going through the frozen stages again in every epoch (captions once each, which flatters this
side where products share one). Some products of ../shared/fashion (BENCH_SOURCE names another catalogue), `lite`:
heads alone, and the last two blocks of both towers.
Usage: python -m benchmarks.cut_and_cache [--products 1000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from benchmarks.inprocess import Bench, load_catalogue
from benchmarks.reporting import Bar, report, table
from catalog.product import Product
from catalog.shards import read_shards
from federation.activations import Row
from federation.config import FederationConfig
from federation.encoding import LazyTowers, encode_images, encode_texts
from federation.features import Activations, FeatureSource, ProductFeatures
from federation.model import Model, initial_model
from federation.preprocessing import pixels
from federation.spec import ModelSpec
from federation.training import Trainer

PARTS = {
    "heads": FederationConfig(local_epochs=3, dropout=0.3),
    "full, last 2 blocks": FederationConfig(trainable="full", local_epochs=3, dropout=0.3),
}
PRODUCTS, SEED, AT_ONCE = 1000, 1, 32


@dataclass(frozen=True)
class Found:
    """One part's round, each way."""

    first_s: float
    """Into an empty cache, then training."""
    cached_s: float
    """From a full cache, then training."""
    plain_s: float
    """Through the frozen stages in every epoch."""
    recall_cached: float
    recall_plain: float


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--products", type=int, default=PRODUCTS)
    count = parser.parse_args().products
    found = {part: measure(config, count) for part, config in PARTS.items()}
    rows = [
        (part, f"{f.first_s:.1f}", f"{f.cached_s:.2f}", f"{f.plain_s:.1f}", f"{f.plain_s / f.cached_s:.1f}",
         f"{f.recall_cached:.4f}", f"{f.recall_plain:.4f}")
        for part, f in found.items()
    ]  # fmt: skip
    head = (
        f"{count:,} products",
        "first round s",
        "later rounds s",
        "without cache s",
        "times",
        "recall@10",
        "without",
    )
    report(
        "cut_and_cache",
        __doc__ or "",
        shown=table(head, rows),
        figures={part: vars(f) for part, f in found.items()},
        bars=[bar for part, f in found.items() for bar in bars(part, f)],
    )


def bars(part: str, found: Found) -> list[Bar]:
    """What a later round may cost, and that it learns the same."""
    apart = abs(found.recall_cached / found.recall_plain - 1) if found.recall_plain else 1.0
    return [
        Bar(f"{part}: a later round, times faster", 5.0, round(found.plain_s / found.cached_s, 2), is_floor=True),
        Bar(f"{part}: recall@10 apart, as a share", 0.01, round(apart, 5)),
    ]  # fmt: skip


def measure(config: FederationConfig, count: int) -> Found:
    """One part, on the first ``count`` products of the train split."""
    catalogue = load_catalogue()
    bench = Bench.open(config, catalogue)
    products = list(islice(read_shards(catalogue.store, catalogue.manifest.splits["train"]), count))
    spec, towers = ModelSpec.of(config), bench.gallery.towers
    # Loading the towers' libraries is no part of what is compared.
    towers()
    with tempfile.TemporaryDirectory(prefix="tejido-bench-") as folder:
        first_s, model = cached_round(config, spec, products, Path(folder), towers)
        cached_s, model = cached_round(config, spec, products, Path(folder), towers)
        features = FeatureSource(spec, root=Path(folder), owner="aurora", towers=towers).of(products)
        plain_s, plain = plain_round(config, spec, products, features, towers)
    recall = [bench.gallery.evaluate(m.state(), "val").recall_at_10 for m in (model, plain)]
    return Found(first_s, cached_s, plain_s, *recall)


def cached_round(
    config: FederationConfig, spec: ModelSpec, products: list[Product], folder: Path, towers: LazyTowers
) -> tuple[float, Model]:
    """A round as a client plays it; the cache lies in ``folder``."""
    model, began = initial_model(spec, towers), time.perf_counter()
    features = FeatureSource(spec, root=folder, owner="aurora", towers=towers).of(products)
    Trainer(model, config, seed=SEED).train_round(features, round_number=1)
    return time.perf_counter() - began, model


def plain_round(
    config: FederationConfig, spec: ModelSpec, products: list[Product], features: ProductFeatures, towers: LazyTowers
) -> tuple[float, Model]:
    """The same training, with nothing kept from one epoch to the next."""
    model, began = initial_model(spec, towers), time.perf_counter()
    trainer = Trainer(model, replace(config, local_epochs=1), seed=SEED)
    for _ in range(config.local_epochs):
        images = Activations(list(_images(spec, products, towers)))
        texts = Activations(list(_texts(spec, features, towers)))
        trainer.train_round(replace(features, images=(images,), texts=texts), round_number=1)
    return time.perf_counter() - began, model


def _images(spec: ModelSpec, products: list[Product], towers: LazyTowers) -> Iterator[Row]:
    for start in range(0, len(products), AT_ONCE):
        batch = [pixels(p.image, size=spec.preset.image_size) for p in products[start : start + AT_ONCE]]
        yield from encode_images(towers(), batch, spec.image_cut)


def _texts(spec: ModelSpec, features: ProductFeatures, towers: LazyTowers) -> Iterator[Row]:
    for start in range(0, len(features.titles), AT_ONCE):
        yield from encode_texts(towers(), features.titles[start : start + AT_ONCE], spec.text_cut)


if __name__ == "__main__":
    main()
