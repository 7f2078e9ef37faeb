"""What an update must be before it counts. Flower itself checks nothing but names."""

from __future__ import annotations

import math

import numpy as np

from federation.errors import UpdateRejected
from federation.tensors import Tensors


def check_update(delta: Tensors, *, examples: object, loss: object, enrolled: int) -> int:
    """Check the values of one update; names, shapes and types were checked while unpacking.

    Args:
        delta: the client's change to the global state.
        examples: what the client says it trained on: its weight in the mean.
        loss: what the client says its loss was.
        enrolled: number of products that it was given.

    Returns:
        The number of examples.

    Raises:
        UpdateRejected: saying what is wrong.
    """
    for name, array in delta.items():
        if not np.isfinite(array).all():
            raise UpdateRejected(f"Tensor {name} holds NaN or infinity.")
    # bool is an int to Python, and a float would promote the sum.
    if type(examples) is not int or not 0 < examples <= enrolled:
        raise UpdateRejected(f"num-examples is {examples!r}, the client was given {enrolled} products.")
    if not isinstance(loss, float) or not math.isfinite(loss):
        raise UpdateRejected(f"loss is {loss!r}.")
    return examples
