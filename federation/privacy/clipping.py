"""A client's whole update, all tensors together, clipped so that what is added up is no longer than the clip norm.

The bound is that of the numbers which the coordinator decodes, not of those that the client trained: rounding to int8
or fp16 can make an update longer. So it is clipped, encoded, measured as it will be decoded, and shortened until that
fits.
"""

from __future__ import annotations

import math

import numpy as np

from federation.tensors import Tensors
from federation.wire import ArrayRecord, to_record, unpack

SLACK = 1e-5
"""Share of the clip norm that is left free: a norm is measured to 1e-6, and a sum of float32 rounds."""
SHORTEN = 1e-3
"""Rounding may undo a shorter step."""


def norm(tensors: Tensors) -> float:
    """L2 norm over all tensors together, in double precision."""
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in tensors.values()))


def clip(tensors: Tensors, bound: float) -> Tensors:
    """The tensors, shortened to ``bound`` where they are longer; the direction stays."""
    length = norm(tensors)
    return scaled(tensors, bound / length) if length > bound else tensors


def scaled(tensors: Tensors, factor: float) -> Tensors:
    """Each times ``factor``."""
    return {name: np.asarray(array * np.float32(factor), np.float32) for name, array in tensors.items()}


def clipped_record(wanted: Tensors, *, bound: float, encoding: str) -> tuple[ArrayRecord, Tensors]:
    """Encode an update so that its decoded norm, as `EncodedUpdate.norm` measures it, is below ``bound``.

    Returns:
        What to send, and what was encoded: ``wanted``, clipped.

    Raises:
        ShapeError: a value is not finite.
    """
    limit = bound * (1 - SLACK)
    # Twice the slack: scaling itself rounds.
    clipped = clip(wanted, bound * (1 - 2 * SLACK))
    while True:
        record = to_record(clipped, encoding=encoding)
        length = unpack(record, like=clipped, encoding=encoding).norm()
        if length <= limit:
            return record, clipped
        clipped = scaled(clipped, min(limit / length, 1 - SHORTEN))
