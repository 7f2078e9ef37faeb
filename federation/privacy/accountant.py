"""What the rounds of a run cost in privacy, by Rényi differential privacy (RDP).

Neighbours are two runs that differ in one client: in one of them its update is zero in every round. Each round adds up
updates no longer than the clip norm C and Gaussian noise of standard deviation σ C, which is (α, α / 2σ²)-RDP for every
α > 1 (Mironov 2017, proposition 7); RDP of rounds adds up, also where each depends on the ones before it. The curve is
turned into (ε, δ) by proposition 12 of Canonne, Kamath & Steinke 2020 (the same as theorem 21 of Balle et al. 2020).

For Gaussians alone the exact ε is known (Balle & Wang 2018), and this one lies up to an eighth above; RDP is kept
because it adds up beside other mechanisms too. That clients are sampled is not counted: who takes part follows from
the run's seed, which every client knows, and only a secret sample amplifies privacy. So each round is charged to every
client.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Orders = NDArray[np.float64]
ORDERS: Orders = 1 + np.logspace(-4, 9, 4000)
"""Of which the best is taken; each gives a valid ε."""


@dataclass(frozen=True)
class Ledger:
    """The noise of every round whose result left the coordinator; part of each checkpoint."""

    entries: tuple[tuple[float, int], ...] = ()
    """(noise multiplier, rounds with it); each multiplier once, ascending."""

    def after(self, noise_multiplier: float) -> Ledger:
        """The ledger after one more round."""
        rounds = dict(self.entries)
        rounds[noise_multiplier] = rounds.get(noise_multiplier, 0) + 1
        return Ledger(tuple(sorted(rounds.items())))

    @property
    def rounds(self) -> int:
        """How many there were."""
        return sum(rounds for _, rounds in self.entries)

    def epsilon(self, delta: float) -> float:
        """ε of all rounds together at this δ; 0 before the first."""
        if not self.entries:
            return 0.0
        rdp = np.sum([rounds * gaussian_rdp(noise) for noise, rounds in self.entries], axis=0)
        return epsilon_of(rdp, delta)

    def as_list(self) -> list[list[float]]:
        """For JSON."""
        return [[noise, rounds] for noise, rounds in self.entries]

    @classmethod
    def from_list(cls, values: list[list[Any]]) -> Ledger:
        """Read what `as_list` gave."""
        return cls(tuple((float(noise), int(rounds)) for noise, rounds in values))


def gaussian_rdp(noise_multiplier: float) -> Orders:
    """(orders,) RDP of one sum with Gaussian noise of ``noise_multiplier`` times its sensitivity."""
    return ORDERS / (2 * noise_multiplier**2)


def epsilon_of(rdp: Orders, delta: float) -> float:
    """The smallest ε that an RDP curve over `ORDERS` promises at this δ, never below 0."""
    bounds = rdp + np.log1p(-1 / ORDERS) - (math.log(delta) + np.log(ORDERS)) / (ORDERS - 1)
    return max(0.0, float(bounds.min()))
