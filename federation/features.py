"""A stream of products as features: cached ones are read, the others go through the towers, loaded only if needed."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog.product import Product
from core.progress import NoProgress, Progress
from federation.activations import FeatureCache, cache_folder, text_key
from federation.presets import Preset

if TYPE_CHECKING:
    from federation.model import Towers

IMAGES_AT_ONCE = 64
TEXTS_AT_ONCE = 128
STAGE = "encoding"
T = TypeVar("T")


class LazyTowers:
    """The towers of a preset, built at the first use: when everything is cached they are never loaded."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self._lock = threading.Lock()
        self._towers: Towers | None = None

    @property
    def are_loaded(self) -> bool:
        """Whether anything needed them so far."""
        return self._towers is not None

    def __call__(self) -> Towers:
        """The towers; raises WeightsError when the base weights are not the pinned ones."""
        with self._lock:
            if self._towers is None:
                # Importing open_clip, timm and transformers takes seconds: only here, only when something is missing.
                from federation.model import build_towers

                self._towers = build_towers(self.preset)
        return self._towers


@dataclass(frozen=True)
class ProductFeatures:
    """Products as the heads see them; row i of every array is product i, captions are kept once each."""

    ids: NDArray[np.int64]
    titles: tuple[str, ...]
    """Distinct captions."""
    names: NDArray[np.int64]
    """(N,) index into ``titles`` of each product's caption; equal numbers mean the same name."""
    images: NDArray[np.float32]
    """(N, image_features)"""
    texts: NDArray[np.float32]
    """(len(titles), text_features)"""

    def __len__(self) -> int:
        return len(self.ids)


class FeatureSource:
    """Turns products into features for one owner (a client, or the coordinator) with a cache on its disk."""

    def __init__(self, preset: Preset, *, root: Path, owner: str, towers: LazyTowers | None = None) -> None:
        self.preset = preset
        self.towers = towers or LazyTowers(preset)
        folder = cache_folder(root, owner, preset)
        self._images = FeatureCache(folder, "image", width=preset.image_features)
        self._texts = FeatureCache(folder, "text", width=preset.text_features)

    def of(
        self, products: Iterable[Product], *, total: int | None = None, progress: Progress | None = None
    ) -> ProductFeatures:
        """Features of a stream of products; pictures are held one batch at a time."""
        progress = progress or NoProgress()
        ids: list[int] = []
        keys: list[str] = []
        captions: list[str] = []
        progress.update(STAGE, 0, total)
        for batch in _batches(products, IMAGES_AT_ONCE):
            self._encode_images(batch)
            ids += [product.id for product in batch]
            keys += [product.image_sha256 for product in batch]
            captions += [product.product_display_name for product in batch]
            progress.update(STAGE, len(ids), total)
        self._images.flush()
        titles = tuple(dict.fromkeys(captions))
        number = {title: i for i, title in enumerate(titles)}
        progress.update(STAGE, len(ids), len(ids))
        return ProductFeatures(
            ids=np.array(ids, np.int64),
            titles=titles,
            names=np.array([number[caption] for caption in captions], np.int64),
            images=self._images.get(keys),
            texts=self.of_texts(titles),
        )

    def of_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(len(texts), text_features), cached like the pictures."""
        missing = [text for text in dict.fromkeys(texts) if text_key(text) not in self._texts]
        # Captions of similar length together waste the least padding.
        for batch in _batches(sorted(missing, key=len), TEXTS_AT_ONCE):
            self._texts.add([text_key(text) for text in batch], self.towers().encode_texts(batch))
        self._texts.flush()
        return self._texts.get([text_key(text) for text in texts])

    def _encode_images(self, batch: list[Product]) -> None:
        missing = {p.image_sha256: p.image for p in batch if p.image_sha256 not in self._images}
        if missing:
            self._images.add(list(missing), self.towers().encode_images(list(missing.values())))


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
