"""Encoders of other model versions than the live one, for operators who compare: one at a time, as each is large."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from api.live_model import LiveModel, LoadedModel, model_of
from api.ports import Encoder
from catalog.index import IndexVersion

log = structlog.get_logger()


class EncoderShelf:
    """The live model's encoder, and at most one more. Safe to share between threads.

    Args:
        live: whose encoder is used where it is of the same model.
        load: loads the encoder of an index's model; slow, may raise any TejidoError.
    """

    def __init__(self, live: LiveModel, load: Callable[[IndexVersion], Encoder]) -> None:
        self._live, self._load = live, load
        self._lent = threading.Lock()
        self._other: LoadedModel | None = None

    @contextmanager
    def lent(self, index: IndexVersion) -> Iterator[LoadedModel]:
        """An index with the encoder of exactly its model, for as long as the block lasts.

        Costs seconds where the encoder must be loaded. Whoever needs another one waits until the block is over: no
        more than one is in memory besides the live one.

        Raises:
            ModelMissing, ModelDamaged, TrackingUnreachable: the model cannot be had.
        """
        live = self._live.loaded
        if live is not None and model_of(live.index) == model_of(index):
            yield LoadedModel(index, live.encoder)
            return
        with self._lent:
            if self._other is None or model_of(self._other.index) != model_of(index):
                # First let go, then load: both would be one too many.
                self._other = None
                self._other = LoadedModel(index, self._load(index))
                log.info("another model is loaded", index=index.id, model=index.model_version)
            yield LoadedModel(index, self._other.encoder)
