"""A little of a shared cache kept in the process, for what never changes under its key."""

from __future__ import annotations

import threading
from collections import OrderedDict

from api.vectors import Cache

KEPT = 512
"""Entries; a query's vector has 2 KB."""


class NearCache:
    """In front of a shared cache: what was asked for lately costs no round trip. Safe to share between threads.

    Args:
        far: the shared one; its errors pass.
        kept: how many entries, the least recently asked for going first.
    """

    def __init__(self, far: Cache, *, kept: int = KEPT) -> None:
        self._far, self._kept = far, kept
        self._near: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> object:
        """The value, or None."""
        with self._lock:
            if name in self._near:
                self._near.move_to_end(name)
                return self._near[name]
        value = self._far.get(name)
        if isinstance(value, bytes):
            self._keep(name, value)
        return value

    def set(self, name: str, value: bytes, *, ex: int) -> object:
        """Keep the value here, and for ``ex`` seconds there."""
        self._keep(name, value)
        return self._far.set(name, value, ex=ex)

    def _keep(self, name: str, value: bytes) -> None:
        with self._lock:
            self._near[name] = value
            self._near.move_to_end(name)
            if len(self._near) > self._kept:
                self._near.popitem(last=False)
