"""How much faster than stock open_clip is a catalogue encoded, how fast are queries, and what does rounding cost?

Beside it, in the same run, is stock float32 open_clip as people run it: its own model, transform and tokenizer, batches
of 32, texts padded to the whole context. `lite` and `vit-b-32` (random weights: speed does not depend on them) encode
products of ../shared/fashion (BENCH_SOURCE names another catalogue) from files and titles to vectors, as an index
build does; then pictures and texts alone. All on one thread, by processor time: threads that share a batch wait for
each other where a machine has other work, which would flatter us. Each side takes turns, and its best counts.
Recall@10 is that of linear heads of `lite`, trained on float32 features: everything float32, everything as served in
bfloat16, and queries as served against products of float32. It is of all titles of the catalogue in its whole gallery,
as a few of the test split's own titles, which are shown beside, are more than half a per cent of what they find.
Queries are asked by 16 threads, with and without batches, and one by one from a Valkey that knows them.
Usage: python -m benchmarks.encoding [--products 4000] [--encoded 256]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.depth import PLAIN
from benchmarks.inprocess import Bench, Catalogue, load_catalogue
from benchmarks.queries import cached_ms, queries_per_s
from benchmarks.reporting import Bar, report, table
from benchmarks.stock import AT_ONCE, Stock
from catalog.product import Product
from catalog.shards import read_shards
from core.progress import LogProgress
from federation.encoder import Encoder, Vectors
from federation.encoding import LazyTowers
from federation.evaluation import evaluate_retrieval
from federation.features import Activations, FeatureSource
from federation.model import initial_state
from federation.preprocessing import pixels
from federation.presets import Preset, load_preset, parse_preset
from federation.spec import ModelSpec
from server.baselines import in_one_place
from server.gallery import load_gallery

CONFIG = replace(PLAIN, rounds=12, views=1)
TURNS = 2
SAME_PICTURE = 0.9999
Speeds = dict[str, dict[str, float]]


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--products", type=int, default=4000)
    parser.add_argument("--encoded", type=int, default=256)
    asked = parser.parse_args()
    catalogue = load_catalogue(limit=asked.products)
    torch.set_num_threads(1)
    products = list(islice(read_shards(catalogue.store, catalogue.manifest.splits["train"]), asked.encoded))
    speeds = {name: speeds_of(named(name), products) for name in ("lite", "vit-b-32")}
    recall, encoder = recalls(catalogue)
    titles = [product.product_display_name for product in products]
    together, alone = queries_per_s(encoder, titles)
    cached = cached_ms(encoder, titles)
    has_amx = "amx_bf16" in Path("/proc/cpuinfo").read_text()
    rows = [
        (f"{preset}, {what}", f"{one['stock']:.1f}", f"{one['ours']:.1f}", f"{one['ratio']:.2f}")
        for preset, kinds in speeds.items()
        for what, one in kinds.items()
    ]
    shown = table(("products, pictures or texts a second of one core", "stock", "ours", "ratio"), rows)
    queries = {"together": together, "one by one": alone, "ratio": together / alone, "cached_p50_ms": cached}
    report(
        "encoding",
        __doc__ or "",
        shown=f"AMX: {has_amx}\n{shown}\n\n{_lines(recall)}\n{_lines(queries)}",
        figures={"amx": has_amx, "speeds": speeds, "recall_at_10": recall, "queries_per_s": queries},
        bars=[
            *(
                Bar(f"{name}: catalogue, times faster than stock", 4.0 if has_amx else 1.5,
                    round(kinds["catalogue"]["ratio"], 2), is_floor=True)
                for name, kinds in speeds.items()
            ),
            Bar("recall@10 lost as served, as a share", 0.005, round(1 - recall["served"] / recall["float32"], 5)),
            Bar("recall@10 lost of mixed precisions", 0.005, round(1 - recall["mixed"] / recall["float32"], 5)),
            Bar("pictures that find themselves, of mixed precisions", 0.99, recall["find_themselves"], is_floor=True),
            Bar("16 threads' queries/s, times those one by one", 1.5, round(together / alone, 2), is_floor=True),
            Bar("cached query vector, p50 in ms", 15.0, round(cached, 3)),
        ],
    )  # fmt: skip


def named(name: str) -> Preset:
    """A preset; with random weights where its own are not to be had without a hub."""
    source = json.loads(load_preset(name).source)
    if any(weights["path"].startswith("hub:") for weights in source["weights"]):
        source |= {"weights": [], "random_towers": {"seed": 1}}
    return parse_preset(json.dumps(source))


def speeds_of(preset: Preset, products: Sequence[Product]) -> Speeds:
    """Catalogue, pictures and texts: how many a second, stock and ours."""
    spec = replace(ModelSpec.of(CONFIG), preset=preset, image_blocks=0, text_blocks=0)
    towers = LazyTowers(preset, serving="auto")
    encoder = Encoder.load(spec, initial_state(spec, LazyTowers(preset)), towers=towers)
    encoder.warm_up()
    stock, images = Stock(preset), [product.image for product in products]
    titles = list(dict.fromkeys(product.product_display_name for product in products))
    batch = stock.prepared(images[:AT_ONCE])
    ready = Activations([pixels(image, size=preset.image_size) for image in images[:AT_ONCE]])
    tried: dict[str, tuple[int, Callable[[], object], Callable[[], object]]] = {
        "catalogue": (
            len(products), lambda: stock.catalogue(images, titles), lambda: as_indexed(encoder, products)
        ),
        "pictures": (AT_ONCE, lambda: stock.pictures(batch), lambda: _features(encoder, ready)),
        "texts": (len(titles), lambda: stock.texts(titles), lambda: _texts(encoder, titles)),
    }  # fmt: skip
    found: Speeds = {}
    for what, (count, theirs, ours) in tried.items():
        seconds = [(_seconds(theirs), _seconds(ours)) for _ in range(TURNS)]
        a, b = (count / min(times) for times in zip(*seconds, strict=True))
        found[what] = {"stock": round(a, 1), "ours": round(b, 1), "ratio": round(b / a, 3)}
        print(preset.name, what, found[what], towers().precisions, flush=True)
    return found


def as_indexed(encoder: Encoder, products: Sequence[Product]) -> None:
    """From files and titles to vectors, with nothing cached, as an index build does."""
    with tempfile.TemporaryDirectory(prefix="tejido-bench-") as folder:
        source = FeatureSource(encoder.spec, root=Path(folder), owner="bench", towers=encoder.towers)
        features = source.of(products)
        encoder.embed_images(features.images[0])
        encoder.embed_texts(features.texts)


def _features(encoder: Encoder, ready: Activations) -> Vectors:
    from federation.encoding import encode_images

    rows = encode_images(encoder.towers(), list(ready.rows), encoder.spec.image_cut)
    return encoder.embed_images(Activations(rows))


def _texts(encoder: Encoder, titles: Sequence[str]) -> None:
    ordered = sorted(titles, key=len)
    for start in range(0, len(titles), AT_ONCE):
        encoder.encode_texts(ordered[start : start + AT_ONCE])


def _seconds(work: Callable[[], object]) -> float:
    """Of processor time, which is the same whatever else the machine does."""
    began = time.process_time()
    work()
    return time.process_time() - began


def recalls(catalogue: Catalogue) -> tuple[dict[str, float], Encoder]:
    """Recall@10 of all titles, and of test alone, in float32 and as served, and of both mixed; and the encoder."""
    bench = Bench.open(CONFIG, catalogue)
    *_, (_, state) = in_one_place(bench.gallery, bench.products, CONFIG)
    exact, spec = bench.gallery, ModelSpec.of(CONFIG)
    with tempfile.TemporaryDirectory(prefix="tejido-bench-") as folder:
        served = load_gallery(
            catalogue.store, catalogue.manifest, spec, features_dir=Path(folder), progress=LogProgress(),
            towers=LazyTowers(spec.preset, serving="bfloat16"),
        )  # fmt: skip
    encoder = Encoder.load(spec, state, towers=served.towers)
    plain, titles = Encoder.load(spec, state, towers=exact.towers), np.unique(exact.products.names)
    queries = encoder.embed_texts(Activations(served.products.texts.pick(titles)))
    gallery = plain.embed_images(exact.products.images[0])
    mixed = evaluate_retrieval(queries, titles, gallery, exact.products.names)
    exact, served = (replace(one, queries={**one.queries, "all": titles}) for one in (exact, served))
    found = {
        "gallery": float(mixed.gallery),
        "titles": float(len(titles)),
        "float32": exact.rank(plain, "all").recall_at_10,
        "served": served.rank(encoder, "all").recall_at_10,
        "mixed": mixed.recall_at_10,
        "float32, test alone": exact.rank(plain, "test").recall_at_10,
        "served, test alone": served.rank(encoder, "test").recall_at_10,
        "find_themselves": _find_themselves(encoder.embed_images(served.products.images[0]), gallery),
        "least_cosine": float((encoder.embed_images(served.products.images[0]) * gallery).sum(axis=1).min()),
    }
    return found, encoder


def _find_themselves(asked: Vectors, gallery: Vectors) -> float:
    """Share of pictures whose nearest product is their own, or one with the same picture."""
    nearest = np.concatenate([(rows @ gallery.T).argmax(axis=1) for rows in np.array_split(asked, 16)])
    return float(((gallery[nearest] * gallery).sum(axis=1) > SAME_PICTURE).mean())


def _lines(figures: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {value:.4f}" for name, value in figures.items())


if __name__ == "__main__":
    main()
