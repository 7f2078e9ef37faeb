"""A grid of whole numbers on which updates are added up modulo 2^32, and the way of an update onto it and back.

Masks are whole numbers, so what they hide must be, too. The step of the grid is as fine as it can be while no sum
wraps: every coordinate of a clipped update lies within ±C, so that of n updates within ±n C, and noise adds some; that
span over 2^31 is the step. Rounding errs by half a step at most: for five clients without noise 1.5e-9 C rms in their
sum, for 256 clients, the most, 5.5e-7 C. So 32 bits are enough, and as many bytes travel as in fp32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from federation.config import FederationConfig
from federation.errors import ShapeError
from federation.masking.masks import BLOCK, Lanes
from federation.privacy.clipping import SHORTEN, SLACK, clip
from federation.privacy.noise import noise_of_each, rounded_noise
from federation.tensors import Tensors, count

HALF = 2**31
TAILS = 12.0
"""Standard deviations that noise may reach before a sum wraps: a value beyond has a probability of 4e-33."""
FREE = 10.0
"""How far beyond its expectation the length of Gaussian noise may be: a probability of 2e-22 (Laurent & Massart)."""


@dataclass(frozen=True)
class SumGrid:
    """Onto which grid the updates of one session are rounded; all participants and the coordinator have the same."""

    bound: float
    """L2 norm of an update, at most."""
    participants: int
    """Terms of the sum, at most."""
    noise_std: float = 0.0
    """Of the noise that each participant adds to its own update; 0: none."""

    @classmethod
    def of(cls, config: FederationConfig, *, participants: int, threshold: int) -> SumGrid:
        """The grid of a session with so many participants, of whom ``threshold`` at least are in its sum."""
        return cls(config.clip_norm, participants, noise_of_each(config, terms=threshold))

    @property
    def step(self) -> float:
        """Distance of two neighbouring values."""
        noise = TAILS * self.noise_std * math.sqrt(self.participants)
        return (self.participants * self.bound + noise) / HALF

    def encode(self, update: Tensors) -> Lanes:
        """Clip an update, round it onto the grid, and add this participant's share of the noise.

        The clip norm holds for what is on the grid, before the noise: rounding can make an update longer, so it is
        shortened until it fits.

        Returns:
            (d,) its values in the order of their tensors' names, negative ones as 2^32 less.

        Raises:
            ShapeError: a value is not finite.
        """
        for name, array in update.items():
            if not np.isfinite(array).all():
                raise ShapeError(
                    f"Tensor {name} holds NaN or infinity.", hint="Training diverged: lower the learning rate."
                )
        lanes = self._rounded(clip(update, self.bound * (1 - SLACK)))
        for start in range(0, lanes.size if self.noise_std else 0, BLOCK):
            part = lanes[start : start + BLOCK]
            # On the grid like the update: the sum depends on the update by a shift of whole steps alone.
            part += rounded_noise(part.size, self.noise_std / self.step).astype(np.uint32)
        return lanes

    def decode(self, lanes: Lanes, *, like: Tensors) -> Tensors:
        """The sum that lanes stand for, as named tensors."""
        tensors: Tensors = {}
        start = 0
        for name in sorted(like):
            array = like[name]
            part = lanes[start : start + array.size].view(np.int32)
            tensors[name] = (part * self.step).astype(np.float32).reshape(array.shape)
            start += array.size
        return {name: tensors[name] for name in like}

    def longest(self, terms: int, size: int) -> float:
        """No honest sum of so many terms of ``size`` values is longer, in L2 norm."""
        noise = self.noise_std * math.sqrt(terms) * (math.sqrt(size) + FREE)
        return terms * self.bound + noise + self.step * math.sqrt(size * terms)

    def _rounded(self, clipped: Tensors) -> Lanes:
        """Memory: the lanes, and one tensor in double precision."""
        lanes = np.empty(count(clipped), np.int32)
        factor, limit = 1 / self.step, self.bound * (1 - SLACK / 2) / self.step
        while True:
            start, squares = 0, 0.0
            for name in sorted(clipped):
                whole = np.rint(clipped[name].ravel() * np.float64(factor))
                squares += float(whole @ whole)
                lanes[start : start + whole.size] = whole
                start += whole.size
            if (length := math.sqrt(squares)) <= limit:
                return lanes.view(np.uint32)
            factor *= min(limit / length, 1 - SHORTEN)
