"""Batches through the frozen stages below a cut, some at the same time, into a cache."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from federation.activations import ActivationCache, Row
from federation.precision import Precision, Wanted
from federation.presets import Preset
from federation.serving_cache import ServingCache

if TYPE_CHECKING:
    from federation.towers import Hidden, Towers


class LazyTowers:
    """The towers of a preset, built at the first use: when everything is cached they are never loaded.

    Args:
        serving: the precision to answer in, for who only serves; None for training, whose features are everywhere
            the same.
    """

    def __init__(self, preset: Preset, *, serving: Wanted | None = None) -> None:
        self.preset, self.serving = preset, serving
        self._lock = threading.RLock()
        self._exact: Towers | None = None
        self._served: Towers | None = None

    @property
    def are_loaded(self) -> bool:
        """Whether anything needed them so far."""
        return self._exact is not None or self._served is not None

    def __call__(self) -> Towers:
        """The towers that encode; raises WeightsError when the base weights are not the pinned ones."""
        if self.serving is None:
            return self.exact()
        with self._lock:
            if self._served is None:
                from federation.towers.serving import served

                self._served = served(self.exact(), self.serving)
                # A model above the cuts was built from them, if any was: from now on they would only take room.
                self._exact = None
        return self._served

    def precision_of(self, kind: str) -> Precision:
        """What the ``image`` or the ``text`` tower computes in."""
        image, text = self().precisions or ("float32", "float32")
        return image if kind == "image" else text

    def exact(self) -> Towers:
        """The towers as pretrained, which models are built from."""
        with self._lock:
            if self._exact is None:
                # Importing open_clip, timm and transformers takes seconds: only here, only when something is missing.
                from federation.towers import build_towers

                self._exact = build_towers(self.preset)
            return self._exact


def encode_images(towers: Towers, pictures: Sequence[NDArray[np.uint8]], cut: int) -> list[Row]:
    """Pictures (S, S, 3) through the stages below ``cut``; one float16 row each."""
    import torch

    from federation.towers.stages import Hidden, run

    with torch.inference_mode():
        hidden = run(towers.image.below(cut), Hidden(torch.from_numpy(np.stack(pictures))).to(towers.device))
    return rows_of(hidden)


def encode_texts(towers: Towers, texts: Sequence[str], cut: int) -> list[Row]:
    """Texts through the stages below ``cut``; one row each, of as many tokens as the text has."""
    import torch

    from federation.towers.stages import run

    with torch.inference_mode():
        hidden = run(towers.text.below(cut), towers.tokens(texts).to(towers.device))
    return rows_of(hidden)


def rows_of(hidden: Hidden) -> list[Row]:
    """What is cached of a batch: float16 values (token ids as they are), without padding."""
    found = hidden.values.float() if hidden.values.is_floating_point() else hidden.values
    values = found.cpu().numpy()
    values = values.astype(np.int32) if values.dtype == np.int64 else values.astype(np.float16)
    if hidden.lengths is None:
        return list(values)
    return [row[:length] for row, length in zip(values, hidden.lengths.tolist(), strict=True)]


def image_batch(rows: Sequence[Row]) -> Hidden:
    """Cached rows of pictures as a batch again."""
    import torch

    from federation.towers.stages import Hidden

    values = np.stack(rows)
    return Hidden(torch.from_numpy(values if values.dtype == np.uint8 else values.astype(np.float32)))


def text_batch(rows: Sequence[Row]) -> Hidden:
    """Cached rows of texts as a batch again; tokens are padded to the longest text."""
    import torch

    from federation.towers.stages import Hidden

    if rows[0].dtype != np.int32 and rows[0].ndim == 1:
        return Hidden(torch.from_numpy(np.stack(rows).astype(np.float32)))
    lengths = np.array([len(row) for row in rows])
    padded = np.zeros((len(rows), lengths.max(), *rows[0].shape[1:]), rows[0].dtype)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    values = padded.astype(np.int64 if padded.dtype == np.int32 else np.float32)
    return Hidden(torch.from_numpy(values), torch.from_numpy(lengths))


class Encoding:
    """Batches through the towers, some at the same time, into a cache; leaving the block waits for the last.

    Each worker computes alone, on one thread: threads that split one small batch spend their time waiting for each
    other, and on a machine with other work several times over (measured: 4 times slower).
    """

    def __init__(self, cache: ActivationCache | ServingCache, workers: int) -> None:
        self._cache, self._workers = cache, workers
        self._pool = ThreadPoolExecutor(workers, initializer=_compute_alone)
        self._pending: deque[tuple[list[str], Future[list[Row]]]] = deque()

    def add(self, keys: list[str], encode: Callable[[], list[Row]]) -> None:
        """Encode a batch and keep its rows under these keys; blocks while every worker has its next batch waiting."""
        self._pending.append((keys, self._pool.submit(encode)))
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
        keys, future = self._pending.popleft()
        self._cache.add(keys, future.result())


def _compute_alone() -> None:
    import torch

    torch.set_num_threads(1)
