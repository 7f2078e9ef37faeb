"""Gaussian noise whose generator nobody can know."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

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
        """What the coordinator adds to the sum of a run's updates; None where it adds nothing."""
        if not config.is_private or config.is_confidential:
            return None
        return cls(config.noise_multiplier * config.clip_norm)

    def add_to(self, tensors: Tensors, *, divided_by: float = 1.0) -> None:
        """Add noise to every value, in place.

        Args:
            tensors: the sum, or what it was divided by: a mean over ``divided_by`` updates has that much less noise.
            divided_by: above 0.
        """
        generator = _generator()
        for array in tensors.values():
            for values in _blocks(array):
                # Drawn and added in double precision: fp32 draws have few values, and their gaps tell what was added.
                values += self.std / divided_by * generator.standard_normal(values.shape)


def noise_of_each(config: FederationConfig, *, terms: int) -> float:
    """Standard deviation of what each client adds to its own update in a confidential run; 0 where it is not private.

    The sum has ``terms`` terms or more. Each client knows its own noise, and can take it off: what the others add,
    ``terms`` − 1 of them at least, is as wide as the run declares.
    """
    if not config.is_private:
        return 0.0
    return config.noise_multiplier * config.clip_norm / math.sqrt(terms - 1)


def rounded_noise(size: int, std: float) -> NDArray[np.int64]:
    """(size,) Gaussian noise in whole steps, of a standard deviation of ``std`` steps, which are many."""
    return np.rint(std * _generator().standard_normal(size)).astype(np.int64)


def _generator() -> np.random.Generator:
    # Not from the run's seed, which every client knows: who knows the noise can take it off.
    return np.random.Generator(np.random.Philox(key=secrets.randbits(KEY_BITS)))


def _blocks(array: Tensor32) -> Iterator[Tensor32]:
    """Views on an array's values, about `BLOCK` at a time."""
    # Never a copy: noise that is added to one is lost.
    flat = array.reshape(-1, copy=False)
    for start in range(0, flat.size, BLOCK):
        yield flat[start : start + BLOCK]
