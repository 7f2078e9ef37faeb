"""Named tensors as plain arrays: what travels, is stored and is averaged. No PyTorch: it takes seconds to import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from federation.errors import HeadsError

Tensor32 = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Tensors = dict[str, Tensor32]
"""Named float32 arrays: a state of the heads, or a difference of two."""


def to_safetensors(tensors: Tensors) -> bytes:
    """Serialise; safetensors holds data only, never code."""
    return save({name: np.asarray(array, order="C") for name, array in tensors.items()})


def from_safetensors(source: bytes | Path) -> Tensors:
    """Read what `to_safetensors` wrote; raises HeadsError when it is not safetensors."""
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
        return dict(load(data))
    except (SafetensorError, OSError, ValueError) as error:
        raise HeadsError(f"The heads cannot be read: {error}.", hint="The file is damaged: train again.") from None


def add(state: Tensors, delta: Tensors) -> Tensors:
    """``state + delta``, name by name."""
    return {name: state[name] + delta[name] for name in state}


def subtract(after: Tensors, before: Tensors) -> Tensors:
    """``after - before``: the delta that a client sends."""
    return {name: after[name] - before[name] for name in before}


def count(tensors: Tensors) -> int:
    """Number of trainable parameters."""
    return sum(array.size for array in tensors.values())


def size_bytes(tensors: Tensors) -> int:
    """Bytes of the values, as they travel."""
    return sum(array.nbytes for array in tensors.values())
