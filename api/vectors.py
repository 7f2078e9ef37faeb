"""Query vectors remembered in Valkey, per model: losing it costs speed, never an answer."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
import structlog
from valkey.exceptions import ValkeyError

from api.errors import ImageInvalid, Unavailable
from api.live_model import LoadedModel
from api.metrics import ApiMetrics
from api.ports import Vectors
from catalog.images import FORMATS, MAX_PIXELS, ImageUnusable, check_image

EXPIRES_S = 24 * 3600
MAX_WAIT_S = 10.0

log = structlog.get_logger()
# One query at a time fills both cores already; more at once would only slow each other.
_encoding = threading.Semaphore(1)


class Cache(Protocol):
    """Bytes that may be forgotten; Valkey in production."""

    def get(self, key: str, /) -> object:
        """What was set, or None."""

    def set(self, key: str, value: bytes, /, *, ex: int) -> object:
        """Remember for ``ex`` seconds."""


class QueryVectors:
    """Encodes queries, and remembers what it encoded."""

    def __init__(self, cache: Cache, metrics: ApiMetrics | None = None) -> None:
        self._cache = cache
        self._metrics = metrics or ApiMetrics()

    def of_text(self, model: LoadedModel, words: str) -> Vectors:
        """(D,) unit vector of a text."""
        key = _key(model, b"text", words.encode())
        return self._remembered(key, model.encoder.dimension, lambda: model.encoder.encode_texts([words])[0])

    def of_image(self, model: LoadedModel, picture: bytes) -> Vectors:
        """(D,) unit vector of an encoded picture; ImageInvalid when it cannot be used."""

        def encode() -> Vectors:
            # Checked while only one query is encoded: decoding 25 megapixels takes 75 MB.
            _check(picture)
            return np.asarray(model.encoder.encode_images([picture])[0])

        return self._remembered(_key(model, b"image", picture), model.encoder.dimension, encode)

    def _remembered(self, key: str, dimension: int, encode: Callable[[], Vectors]) -> Vectors:
        known = self._read(key, dimension)
        self._metrics.query_vector(was_cached=known is not None)
        if known is not None:
            return known
        if not _encoding.acquire(timeout=MAX_WAIT_S):
            raise Unavailable
        try:
            vector = np.ascontiguousarray(encode(), dtype=np.float32)
        finally:
            _encoding.release()
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
    return f"tejido:vector:{model.index.model_name}:{model.index.model_version}:{digest}"
