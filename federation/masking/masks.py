"""Masks: AES-256 in counter mode under a key that serves one mask only, as numbers modulo 2^32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

Lanes = NDArray[np.uint32]
"""Whole numbers modulo 2^32."""
BLOCK = 1 << 18
"""Lanes whose mask is in memory at a time: 1 MB, which stays in the cache."""
COUNTER = bytes(16)
"""From zero: no key is used twice."""


def add_mask(lanes: Lanes, key: bytes) -> None:
    """Add the mask of a key, in place. Memory: one block."""
    for place, mask in _mask(lanes.size, key):
        lanes[place] += mask


def subtract_mask(lanes: Lanes, key: bytes) -> None:
    """Take off what `add_mask` added."""
    for place, mask in _mask(lanes.size, key):
        lanes[place] -= mask


def _mask(size: int, key: bytes) -> Iterator[tuple[slice, Lanes]]:
    stream = Cipher(AES256(key), CTR(COUNTER)).encryptor()
    for start in range(0, size, BLOCK):
        place = slice(start, min(start + BLOCK, size))
        yield place, np.frombuffer(stream.update(bytes(4 * (place.stop - place.start))), "<u4")
