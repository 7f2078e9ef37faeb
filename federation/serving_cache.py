"""What serving reads of cached activations, and where it keeps its own: never among those that training reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from federation.activations import ActivationCache, Row
from federation.precision import PRECISIONS, Precision, Wanted


class ServingCache:
    """Training's activations first, which are the most precise; then those of this and other serving processes.

    Each precision has files of its own, named after it. They may be mixed in an index, as a trial has found that they
    agree; where ``float32`` is asked for by name, no bfloat16 is read either.

    Args:
        precision: what new rows were computed in; asked when there are some.
    """

    def __init__(self, folder: Path, kind: str, wanted: Wanted, precision: Callable[[], Precision]) -> None:
        readable: Sequence[Precision] = ("float32",) if wanted == "float32" else PRECISIONS
        self._exact = ActivationCache(folder, kind)
        self._own: Mapping[Precision, ActivationCache] = {
            name: ActivationCache(folder, f"{kind}-{name}") for name in readable
        }
        self._precision = precision

    def __contains__(self, key: str) -> bool:
        return any(key in cache for cache in (self._exact, *self._own.values()))

    def get(self, keys: Sequence[str]) -> list[Row]:
        """The rows of these keys; KeyError for a key that none of the caches has."""
        return [self._holder(key).get([key])[0] for key in keys]

    def add(self, keys: Sequence[str], rows: Sequence[Row]) -> None:
        """Keep new rows, under the precision that they were computed in."""
        self._own[self._precision()].add(keys, rows)

    def flush(self) -> None:
        """Write what is new."""
        for cache in self._own.values():
            cache.flush()

    def _holder(self, key: str) -> ActivationCache:
        return next((cache for cache in (self._exact, *self._own.values()) if key in cache), self._exact)
