"""Federated averaging (McMahan et al. 2017) over deltas, streamed: memory holds one sum, not one delta a client."""

from __future__ import annotations

import numpy as np

from federation.errors import NothingToLearn
from federation.tensors import Tensors


class FedAvg:
    """Mean of the deltas, weighted by the number of products behind each."""

    def __init__(self) -> None:
        self._sum: Tensors = {}
        self._examples = 0

    def add(self, delta: Tensors, *, examples: int) -> None:
        """Stream one delta into the sum."""
        # A Python float keeps float32: an np.float64 weight would promote every tensor.
        weight = float(examples)
        if not self._sum:
            self._sum = {name: np.zeros_like(array) for name, array in delta.items()}
        for name, array in delta.items():
            self._sum[name] += array * weight
        self._examples += examples

    def step(self) -> Tensors:
        """The weighted mean.

        Raises:
            NothingToLearn: nothing was added.
        """
        if not self._examples:
            raise NothingToLearn("No client's update counted in this round.", hint="Look at the rejected replies.")
        return {name: np.asarray(array / float(self._examples)) for name, array in self._sum.items()}
