"""Gaussian noise whose generator nobody can know."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np

from federation.config import FederationConfig
from federation.tensors import Tensor32, Tensors

KEY_BITS = 128
BLOCK = 1 << 20
"""Values that are drawn at a time."""


class GaussianNoise:
    """Noise for the sum of a round's updates.

    It is added in one place, to the sum; or in ``n`` places, by each of ``n`` clients to its own clipped update with
    ``std / √n``: the sum of their shares is distributed alike.

    Args:
        std: standard deviation of each value, in units of the update.
    """

    def __init__(self, std: float) -> None:
        self.std = std

    @classmethod
    def of(cls, config: FederationConfig) -> GaussianNoise | None:
        """What a run adds to the sum of its updates; None where it adds nothing."""
        return cls(config.noise_multiplier * config.clip_norm) if config.is_private else None

    def add_to(self, tensors: Tensors, *, divided_by: float = 1.0) -> None:
        """Add noise to every value, in place.

        Args:
            tensors: the sum, or what it was divided by: a mean over ``divided_by`` updates has that much less noise.
            divided_by: above 0.
        """
        # Not from the run's seed, which every client knows: who knows the noise can take it off.
        generator = np.random.Generator(np.random.Philox(key=secrets.randbits(KEY_BITS)))
        for array in tensors.values():
            for values in _blocks(array):
                # Drawn and added in double precision: fp32 draws have few values, and their gaps tell what was added.
                values += self.std / divided_by * generator.standard_normal(values.shape)


def _blocks(array: Tensor32) -> Iterator[Tensor32]:
    """Views on an array's values, about `BLOCK` at a time."""
    # Never a copy: noise that is added to one is lost.
    flat = array.reshape(-1, copy=False)
    for start in range(0, flat.size, BLOCK):
        yield flat[start : start + BLOCK]
