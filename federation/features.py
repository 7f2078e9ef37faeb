"""A stream of products as features: cached ones are read, the others go through the towers, loaded only if needed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from catalog.product import Product
from core.progress import NoProgress, Progress
from federation.activations import FeatureCache, cache_folder, text_key
from federation.presets import Preset

if TYPE_CHECKING:
    from federation.model import Towers

IMAGES_AT_ONCE = 32
TEXTS_AT_ONCE = 32
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

    def __init__(
        self, preset: Preset, *, root: Path, owner: str, towers: LazyTowers | None = None, workers: int = 1
    ) -> None:
        self.preset = preset
        self._workers = workers
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
        with Encoding[bytes](self._images, self._workers) as images:
            for batch in _batches(products, IMAGES_AT_ONCE):
                missing = {p.image_sha256: p.image for p in batch if p.image_sha256 not in self._images}
                images.add(missing, lambda pictures: self.towers().encode_images(pictures))
                ids += [product.id for product in batch]
                keys += [product.image_sha256 for product in batch]
                captions += [product.product_display_name for product in batch]
                progress.update(STAGE, len(ids), total, "pictures")
        titles = tuple(dict.fromkeys(captions))
        number = {title: i for i, title in enumerate(titles)}
        texts = self.of_texts(titles, progress=progress)
        return ProductFeatures(
            ids=np.array(ids, np.int64),
            titles=titles,
            names=np.array([number[caption] for caption in captions], np.int64),
            images=self._images.get(keys),
            texts=texts,
        )

    def of_texts(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        """(len(texts), text_features), cached like the pictures."""
        missing = [text for text in dict.fromkeys(texts) if text_key(text) not in self._texts]
        done = len(texts) - len(missing)
        with Encoding[str](self._texts, self._workers) as encoding:
            # Captions of similar length together waste the least padding.
            for batch in _batches(sorted(missing, key=len), TEXTS_AT_ONCE):
                encoding.add({text_key(text): text for text in batch}, lambda group: self.towers().encode_texts(group))
                done += len(batch)
                (progress or NoProgress()).update(STAGE, done, len(texts), "captions")
        (progress or NoProgress()).update(STAGE, len(texts), len(texts))
        return self._texts.get([text_key(text) for text in texts])


class Encoding(Generic[T]):
    """Batches through the towers, some at the same time, into a cache; leaving the block waits for the last.

    Each worker computes alone, on one thread: threads that split one small batch spend their time waiting for each
    other, and on a machine with other work several times over (measured: 4 times slower).
    """

    def __init__(self, cache: FeatureCache, workers: int) -> None:
        self._cache, self._workers = cache, workers
        self._pool = ThreadPoolExecutor(workers, initializer=_compute_alone)
        self._pending: deque[tuple[list[str], Future[NDArray[np.float32]]]] = deque()

    def add(self, batch: dict[str, T], encode: Callable[[list[T]], NDArray[np.float32]]) -> None:
        """Encode the values and keep them under their keys; blocks while every worker has its next batch waiting."""
        if batch:
            self._pending.append((list(batch), self._pool.submit(encode, list(batch.values()))))
        while len(self._pending) > 2 * self._workers:
            self._keep_oldest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            while kind is None and self._pending:
                self._keep_oldest()
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._cache.flush()

    def _keep_oldest(self) -> None:
        keys, features = self._pending.popleft()
        self._cache.add(keys, features.result())


def _compute_alone() -> None:
    import torch

    torch.set_num_threads(1)


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
