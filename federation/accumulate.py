"""The weighted mean of updates, streamed: memory holds one sum, and one block of decoded values at a time.

A model is larger than any cache, so that this is bound by memory: each block is decoded, scaled and added while it is
in the cache, and nothing decoded is ever written back.
"""

from __future__ import annotations

import numpy as np
import torch

from federation.errors import NothingToLearn
from federation.tensors import Tensor32, Tensors
from federation.wire import BLOCK, EncodedTensor, EncodedUpdate


class StreamingMean:
    """Σ wᵢ δᵢ / Σ wᵢ. The order of the additions decides the last bits: add in a fixed order to repeat a sum."""

    def __init__(self) -> None:
        self._sum: Tensors = {}
        self._weight = 0.0
        self._decoded = torch.empty(0)

    def add(self, update: EncodedUpdate, *, weight: float) -> None:
        """Add one update; ``weight`` above 0."""
        # A Python float: an np.float64 would promote every block.
        weight = float(weight)
        if not self._sum:
            self._sum = {name: np.zeros(t.values.shape, np.float32) for name, t in update.tensors.items()}
        for name, tensor in update.tensors.items():
            self._add(self._sum[name], tensor, weight)
        self._weight += weight

    def mean(self) -> Tensors:
        """The mean; the sum is used up.

        Raises:
            NothingToLearn: nothing was added.
        """
        if not self._weight:
            raise NothingToLearn("No client's update counted in this round.", hint="Look at the rejected replies.")
        mean, self._sum = self._sum, {}
        for array in mean.values():
            array /= np.float32(self._weight)
        self._weight = 0.0
        return mean

    def _add(self, total: Tensor32, tensor: EncodedTensor, weight: float) -> None:
        flat = torch.from_numpy(total.reshape(-1))
        if tensor.values.dtype == np.float32:
            flat.add_(_viewed(tensor.values).reshape(-1), alpha=weight)
            return
        for place, values, scales in tensor.blocks():
            block = self._scratch(values.size)
            block.copy_(_viewed(values).reshape(-1))
            if scales is None:
                flat[place].add_(block, alpha=weight)
            else:
                rows = block.view(values.shape)
                flat[place].view(values.shape).addcmul_(rows, _viewed(scales)[:, None], value=weight)

    def _scratch(self, size: int) -> torch.Tensor:
        if self._decoded.numel() < size:
            self._decoded = torch.empty(max(size, BLOCK))
        return self._decoded[:size]


def _viewed(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> torch.Tensor:
    """A tensor over the array's own bytes. They are a message's, and read-only; nothing here writes to them."""
    return torch.from_dlpack(array)  # type: ignore[attr-defined]
