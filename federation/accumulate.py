"""The weighted mean of updates, streamed: memory holds one sum, and one block of decoded values at a time.

A model is larger than any cache, so that this is bound by memory: each block is decoded, scaled and added while it is
in the cache, and nothing decoded is ever written back.
"""

from __future__ import annotations

import numpy as np
import torch

from federation.errors import NothingToLearn
from federation.tensors import Tensor32, Tensors
from federation.wire import EncodedTensor, EncodedUpdate


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
        is_first = not self._sum
        for name, tensor in update.tensors.items():
            if is_first:
                self._sum[name] = np.empty(tensor.values.shape, np.float32)
            self._add(self._sum[name], tensor, weight, is_first=is_first)
        self._weight += weight

    @property
    def weight(self) -> float:
        """Of all updates together."""
        return self._weight

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

    def _add(self, total: Tensor32, tensor: EncodedTensor, weight: float, *, is_first: bool) -> None:
        for place, values, scales in tensor.blocks():
            rows = torch.from_numpy(total.reshape(-1, values.shape[1])[place])
            block = self._float32(values)
            factor = weight if scales is None else _viewed(scales)[:, None] * weight
            if is_first:
                # Adding to zeros would read them, too.
                torch.mul(block, factor, out=rows)
            elif isinstance(factor, float):
                rows.add_(block, alpha=factor)
            else:
                rows.addcmul_(block, factor)

    def _float32(self, values: np.ndarray) -> torch.Tensor:
        """(rows, width) decoded but for their scales; good until the next call."""
        if values.dtype == np.float32:
            return _viewed(values)
        if self._decoded.numel() < values.size:
            self._decoded = torch.empty(values.size)
        return self._decoded[: values.size].view(values.shape).copy_(_viewed(values))


def _viewed(array: np.ndarray) -> torch.Tensor:
    """A tensor over the array's own bytes. They are a message's, and read-only; nothing here writes to them."""
    return torch.from_dlpack(array)  # type: ignore[attr-defined]
