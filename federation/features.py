"""A stream of products as activations at the cuts: cached ones are read, the others go through the frozen stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog.product import Product
from core.progress import NoProgress, Progress
from federation.activations import ActivationCache, Row, cache_folder, image_key, text_key
from federation.captions import template_caption
from federation.encoding import Encoding, LazyTowers, encode_images, encode_texts
from federation.errors import ImageError
from federation.preprocessing import pixels
from federation.serving_cache import ServingCache
from federation.spec import INPUT_CUT, ModelSpec

IMAGES_AT_ONCE = 32
TEXTS_AT_ONCE = 32
STAGE = "encoding"
UNREADABLE = "picture cannot be read"
T = TypeVar("T")


@dataclass(frozen=True)
class Activations:
    """Rows of one kind, as they were cached; gathered into a batch only when they are used."""

    rows: Sequence[Row]

    def __len__(self) -> int:
        return len(self.rows)

    def pick(self, numbers: NDArray[np.int64]) -> list[Row]:
        """These rows, in this order."""
        return [self.rows[number] for number in numbers.tolist()]


@dataclass(frozen=True)
class ProductFeatures:
    """Products as a model above the cuts sees them; row i is product i, captions are kept once each."""

    ids: NDArray[np.int64]
    titles: tuple[str, ...]
    """Distinct captions."""
    names: NDArray[np.int64]
    """(N,) index into ``titles`` of each product's caption; equal numbers mean the same name."""
    images: tuple[Activations, ...]
    """One for each view, N rows each; the first is the picture as it is."""
    texts: Activations
    """len(titles) rows, and behind them those of the templates."""
    templates: NDArray[np.int64] | None = None
    """(N,) index into ``texts`` of each product's template caption, that of its title where it has no attributes."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Why products were left out, and how many."""

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, rows: NDArray[np.int64]) -> ProductFeatures:
        """These products alone, in this order; the captions stay numbered as they are."""
        return replace(
            self,
            ids=self.ids[rows],
            names=self.names[rows],
            images=tuple(Activations(view.pick(rows)) for view in self.images),
            templates=None if self.templates is None else self.templates[rows],
        )


class FeatureSource:
    """Turns products into activations for one owner (a client, or the coordinator) with a cache on its disk."""

    def __init__(
        self, spec: ModelSpec, *, root: Path, owner: str, towers: LazyTowers | None = None, workers: int = 1
    ) -> None:
        self.spec = spec
        self.towers = towers or LazyTowers(spec.preset)
        self._workers = workers
        folder = cache_folder(root, owner, spec.preset)
        self._images = _cache(folder, "image", spec.image_cut, spec.preset.image_blocks, "uint8", self.towers)
        self._texts = _cache(folder, "text", spec.text_cut, spec.preset.text_blocks, "int32", self.towers)

    def of(
        self,
        products: Iterable[Product],
        *,
        total: int | None = None,
        views: int = 1,
        with_templates: bool = False,
        progress: Progress | None = None,
    ) -> ProductFeatures:
        """Activations of a stream of products; pictures are held one batch at a time.

        A product whose picture cannot be read is left out, and counted in ``skipped``.
        """
        progress = progress or NoProgress()
        kept: list[tuple[int, str, str, str]] = []
        skipped: Counter[str] = Counter()
        progress.update(STAGE, 0, total)
        seen = 0
        with Encoding(self._images, self._workers) as encoding:
            for batch in _batches(products, IMAGES_AT_ONCE):
                readable = self._encode(batch, views, encoding)
                kept += [
                    (p.id, p.image_sha256, p.product_display_name, template_caption(p) if with_templates else "")
                    for p in readable
                ]
                skipped[UNREADABLE] += len(batch) - len(readable)
                seen += len(batch)
                progress.update(STAGE, seen, total, "pictures")
        return self._features(kept, views, with_templates, +skipped, progress)

    def of_texts(self, texts: Sequence[str], *, progress: Progress | None = None) -> Activations:
        """One row for each text, cached like the pictures."""
        progress = progress or NoProgress()
        missing = [text for text in dict.fromkeys(texts) if text_key(text) not in self._texts]
        done = len(texts) - len(missing)
        with Encoding(self._texts, self._workers) as encoding:
            # Captions of similar length together waste the least padding.
            for batch in _batches(sorted(missing, key=len), TEXTS_AT_ONCE):
                encoding.add([text_key(text) for text in batch], lambda t=batch: self._through_texts(t))  # type: ignore[misc]
                done += len(batch)
                progress.update(STAGE, done, len(texts), "captions")
        progress.update(STAGE, len(texts), len(texts))
        return Activations(self._texts.get([text_key(text) for text in texts]))

    def _encode(self, batch: list[Product], views: int, encoding: Encoding) -> list[Product]:
        """Encode the views of a batch that are missing; returns the products whose pictures can be read."""
        readable = []
        missing: dict[str, NDArray[np.uint8]] = {}
        for product in batch:
            keys = {view: image_key(product.image_sha256, view) for view in range(views)}
            wanted = {view: key for view, key in keys.items() if key not in self._images and key not in missing}
            try:
                missing |= {key: self._pixels(product, view) for view, key in wanted.items()}
            except ImageError:
                continue
            readable.append(product)
        if missing:
            encoding.add(list(missing), lambda: self._through_images(list(missing.values())))
        return readable

    def _pixels(self, product: Product, view: int) -> NDArray[np.uint8]:
        return pixels(product.image, size=self.spec.preset.image_size, image_sha256=product.image_sha256, view=view)

    def _through_images(self, pictures: list[NDArray[np.uint8]]) -> list[Row]:
        if self.spec.image_cut == INPUT_CUT:
            return list(pictures)
        return encode_images(self.towers(), pictures, self.spec.image_cut)

    def _through_texts(self, texts: list[str]) -> list[Row]:
        return encode_texts(self.towers(), texts, self.spec.text_cut)

    def _features(
        self,
        kept: list[tuple[int, str, str, str]],
        views: int,
        with_templates: bool,
        skipped: Mapping[str, int],
        progress: Progress,
    ) -> ProductFeatures:
        titles = tuple(dict.fromkeys(title for _, _, title, _ in kept))
        captions = dict.fromkeys([*titles, *(template for *_, template in kept if template)])
        number = {caption: i for i, caption in enumerate(captions)}
        templates = np.array([number[template or title] for _, _, title, template in kept], np.int64)
        return ProductFeatures(
            ids=np.array([identity for identity, *_ in kept], np.int64),
            titles=titles,
            names=np.array([number[title] for _, _, title, _ in kept], np.int64),
            images=tuple(
                Activations(self._images.get([image_key(sha, view) for _, sha, *_ in kept])) for view in range(views)
            ),
            texts=self.of_texts(list(captions), progress=progress),
            templates=templates if with_templates else None,
            skipped=dict(skipped),
        )


def _cache(
    folder: Path, kind: str, cut: int, blocks: int, raw: str, towers: LazyTowers
) -> ActivationCache | ServingCache:
    if cut == INPUT_CUT:
        return ActivationCache(folder, f"{kind}-input", dtype=raw)
    name = f"{kind}-features" if cut == blocks else f"{kind}-block-{cut}"
    if towers.serving is None:
        return ActivationCache(folder, name)
    return ServingCache(folder, name, towers.serving, lambda: towers.precision_of(kind))


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
