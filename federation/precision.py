"""Which precision frozen towers answer in: measured where they run, as it is the processor that decides what is faster.

bfloat16 halves what is read and, on processors with instructions for it (AMX, AVX-512 BF16), the work; elsewhere it
is emulated, and slower. So each tower is timed in both when a process first needs it, and bfloat16 is taken only where
it is clearly faster and gives the same features but for rounding.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["float32", "bfloat16"]
Wanted = Literal["auto", "float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")

MIN_GAIN = 1.15
"""Times faster that bfloat16 must be: less is within what timings of a busy machine vary by."""
MIN_AGREEMENT = 0.99
"""Least cosine between standardised features of one input in both: real rounding leaves 0.995 and more of it, and
vectors that differ so little rank a catalogue alike (docs/explanation/search.md has the recall)."""
MIN_REPEATS, MIN_TRIAL_S = 3, 0.3
"""Small towers are timed more often: they are over before other work lets them be."""


@dataclass(frozen=True)
class Trial:
    """One tower in both precisions, on the same inputs."""

    float32_s: float
    bfloat16_s: float
    agreement: float
    """Least cosine of a row's standardised features; not a number where bfloat16 gave none."""

    @property
    def chosen(self) -> Precision:
        """The precision to take."""
        is_faster = self.bfloat16_s * MIN_GAIN <= self.float32_s
        return "bfloat16" if is_faster and self.agreement >= MIN_AGREEMENT else "float32"


def measure(features: Callable[[Precision], Tensor], *, clock: Callable[[], float] = time.perf_counter) -> Trial:
    """Time both precisions in turn, so that whatever else runs meets both; the best of each counts.

    Args:
        features: (B, F) of a fixed batch in this precision.
        clock: seconds.
    """
    outputs = {precision: features(precision) for precision in PRECISIONS}
    seconds = dict.fromkeys(PRECISIONS, float("inf"))
    repeats, first = 0, clock()
    while repeats < MIN_REPEATS or clock() - first < MIN_TRIAL_S:
        for precision in PRECISIONS:
            began = clock()
            features(precision)
            seconds[precision] = min(seconds[precision], clock() - began)
        repeats += 1
    return Trial(seconds["float32"], seconds["bfloat16"], agreement(outputs["float32"], outputs["bfloat16"]))


def agreement(ours: Tensor, theirs: Tensor) -> float:
    """Least cosine of two (B, F) row by row, each row less its mean: what all features share would flatter them."""
    from torch.nn.functional import cosine_similarity

    a, b = (x.float() - x.float().mean(dim=1, keepdim=True) for x in (ours, theirs))
    return float(cosine_similarity(a, b, dim=1).min())
