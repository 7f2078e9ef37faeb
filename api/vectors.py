"""Query vectors remembered in Valkey, per model: losing it costs speed, never an answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
import structlog
from valkey.exceptions import ValkeyError

from api.batching import MAX_TOGETHER, Batches
from api.errors import ImageInvalid
from api.live_model import LoadedModel
from api.metrics import ApiMetrics
from api.ports import Vectors
from catalog.images import FORMATS, MAX_PIXELS, ImageUnusable, check_image

EXPIRES_S = 24 * 3600

log = structlog.get_logger()
Q = TypeVar("Q")


class Cache(Protocol):
    """Bytes that may be forgotten; Valkey in production."""

    def get(self, key: str, /) -> object:
        """What was set, or None."""

    def set(self, key: str, value: bytes, /, *, ex: int) -> object:
        """Remember for ``ex`` seconds."""


class QueryVectors:
    """Encodes queries, those that come at the same time together, and remembers what it encoded."""

    def __init__(self, cache: Cache, metrics: ApiMetrics | None = None, *, max_together: int = MAX_TOGETHER) -> None:
        self._cache = cache
        self._metrics = metrics or ApiMetrics()
        # One batch at a time fills all cores already; more at once would only slow each other.
        self._batches = Batches(
            max_together=max_together, told=lambda kind, size: self._metrics.encoded_together(kind[0], size)
        )

    def of_text(self, model: LoadedModel, words: str) -> Vectors:
        """(D,) unit vector of a text."""
        return self._remembered(model, "text", words, words.encode(), model.encoder.encode_texts)

    def of_image(self, model: LoadedModel, picture: bytes) -> Vectors:
        """(D,) unit vector of an encoded picture; ImageInvalid when it cannot be used."""

        def encode(pictures: list[bytes]) -> Vectors:
            # Checked one after the other, while nothing else is encoded: decoding 25 megapixels takes 75 MB.
            for one in pictures:
                _check(one)
            return model.encoder.encode_images(pictures)

        return self._remembered(model, "image", picture, picture, encode)

    def _remembered(
        self, model: LoadedModel, kind: str, query: Q, content: bytes, encode: Callable[[list[Q]], Vectors]
    ) -> Vectors:
        key = _key(model, kind.encode(), content)
        known = self._read(key, model.encoder.dimension)
        self._metrics.query_vector(was_cached=known is not None)
        if known is not None:
            return known
        # Only what the same encoder reads goes together; while anything of it waits, no other can have its id.
        row: Vectors = self._batches.answer((kind, id(model.encoder)), query, encode)
        vector = np.ascontiguousarray(row, dtype=np.float32)
        self._write(key, vector)
        return vector

    def _read(self, key: str, dimension: int) -> Vectors | None:
        try:
            data = self._cache.get(key)
        except ValkeyError as error:
            log.warning("query cache cannot be read", error=str(error))
            return None
        if not isinstance(data, bytes) or len(data) != dimension * 4:
            return None
        vector = np.frombuffer(data, dtype=np.float32)
        # Whatever else wrote there: only a finite unit vector can be one of ours.
        return vector if abs(float(np.linalg.norm(vector)) - 1.0) < 1e-3 else None

    def _write(self, key: str, vector: Vectors) -> None:
        try:
            self._cache.set(key, vector.tobytes(), ex=EXPIRES_S)
        except ValkeyError as error:
            log.warning("query cache cannot be written", error=str(error))


def _check(picture: bytes) -> None:
    try:
        check_image(picture)
    except ImageUnusable as error:
        raise ImageInvalid(
            f"The picture cannot be used: {error.detail}.",
            hint=f"Send a whole {', '.join(FORMATS)} file of at most {MAX_PIXELS // 10**6} megapixels.",
        ) from None


def _key(model: LoadedModel, kind: bytes, query: bytes) -> str:
    digest = hashlib.sha256(kind + b"\0" + query).hexdigest()
    # A version's number may be given twice, its hash is not.
    index = model.index
    return f"tejido:vector:{index.model_name}:{index.model_version}:{index.model_hash[:16]}:{digest}"
