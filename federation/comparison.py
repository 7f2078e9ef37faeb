"""Whether one model finds more than another on the same queries, beyond chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.errors import ShapeError

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 20260101
RESAMPLES_AT_ONCE = 500
"""As many as fit into memory, however many queries there are: 40 MB for 10,000."""


@dataclass(frozen=True)
class Comparison:
    """Mean difference of a per-query figure, the first model's minus the second's, and its bootstrap interval."""

    difference: float
    lower: float
    upper: float

    @property
    def is_better(self) -> bool:
        """The whole interval lies above zero."""
        return self.lower > 0


def paired_bootstrap(
    first: NDArray[np.float64], second: NDArray[np.float64], *, confidence: float = CONFIDENCE, seed: int = SEED
) -> Comparison:
    """Resample queries, the same for both models: what is easy for both must not look like a gain.

    Args:
        first: (Q,) recall@10 of each query.
        second: (Q,) of the same queries in the same order.
        confidence: of the interval, 0 to 1.
        seed: of the resampling.

    Raises:
        ShapeError: the two cannot be paired, or are empty.
    """
    if first.shape != second.shape or not len(first):
        raise ShapeError(f"{first.shape} and {second.shape} cannot be paired.")
    differences = first - second
    generator = np.random.default_rng(seed)
    means = np.concatenate(
        [
            differences[generator.integers(0, len(differences), (RESAMPLES_AT_ONCE, len(differences)))].mean(axis=1)
            for _ in range(RESAMPLES // RESAMPLES_AT_ONCE)
        ]
    )
    lower, upper = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Comparison(float(differences.mean()), float(lower), float(upper))
