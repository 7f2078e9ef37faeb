"""The mean of the updates whose direction agrees with the others', none longer than the median.

Krum compares updates as they are. Where clients hold different numbers of products, the one that holds most makes the
longest update, lies farthest from all others, and is left out in place of an attacker who keeps to the usual length:
on ../shared/fashion, Dirichlet(0.5), a sign flip then costs 4 points of recall@10 (benchmarks/attackers.py). And it
leaves out ``attackers`` updates whether anybody attacks or not: of seven clients, each holds a seventh of what there is
to learn.

Directions tell more. Honest ones agree whatever their lengths (a cosine of 0.15 to 0.3 in the first round there), those
of a sign flip, of noise and of swapped labels do not (below 0.02). Near convergence all are nearly unrelated; only one
that stands out from the others is left out then (leaving out nobody was measured: it costs up to 3 points).
Clipping to the median length bounds what a long update gains in a round in which it counts. FLAME (Nguyen et al. 2022)
joins the same two steps, choosing by clusters, and adds noise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from federation.strategies.robust import RobustStrategy
from federation.tensors import Tensors, count

ENOUGH = 0.5
"""Share of the usual agreement that an update must reach."""
CHANCE = 3.0
"""Unrelated directions in d dimensions have cosines of about 1/√d: agreement counts beyond three times that."""
OUTLIER = 3 * 1.4826
"""Median absolute deviations that make three standard deviations of a normal distribution (Leys et al. 2013)."""


class FedCosine(RobustStrategy):
    """Leaves out at most ``config.attackers`` updates of a round, and weighs the others alike."""

    def needed(self) -> int:
        """The honest must outnumber the attackers among the others of each: n - 1 > 2 f."""
        return 2 * self.config.attackers + 2

    def combine(self) -> Tensors:
        """The mean of the chosen updates; memory: all of the round, and one tensor of each."""
        deltas, self._deltas = self._deltas, []
        products = _products(deltas)
        norms = np.sqrt(np.diag(products))
        cosines = products / np.maximum(np.outer(norms, norms), np.finfo(np.float64).tiny)
        chosen = self._chosen(cosines, dimensions=count(deltas[0]))
        limit = float(np.median(norms))
        shares = {i: np.float32(min(1.0, limit / norms[i]) / len(chosen)) for i in chosen if norms[i]}
        return {
            name: np.asarray(sum((deltas[i][name] * s for i, s in shares.items()), np.zeros_like(array)), np.float32)
            for name, array in deltas[0].items()
        }

    def _chosen(self, cosines: NDArray[np.float64], *, dimensions: int) -> list[int]:
        """Numbers of the updates that count, ascending."""
        everyone = range(len(cosines))
        agreement = np.array([np.median(np.delete(cosines[i], i)) for i in everyone])
        usual = float(np.median(agreement))
        bound = usual - OUTLIER * float(np.median(np.abs(agreement - usual)))
        if usual > CHANCE / math.sqrt(dimensions):
            bound = ENOUGH * usual
        least = np.argsort(agreement, kind="stable")[: self.config.attackers]
        left_out = {int(i) for i in least if agreement[i] < bound}
        return [i for i in everyone if i not in left_out]


def _products(deltas: list[Tensors]) -> NDArray[np.float64]:
    """(n, n) scalar products of the updates, tensor by tensor."""
    total = np.zeros((len(deltas), len(deltas)))
    for name in deltas[0]:
        flat = np.stack([delta[name].reshape(-1) for delta in deltas])
        total += flat @ flat.T
    return total
