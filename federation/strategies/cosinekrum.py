"""MultiKrum's choice by direction alone, and a mean in which no update is longer than the median.

Krum compares updates as they are. Where clients hold different numbers of products, the one that holds most makes the
longest update, lies farthest from all others, and is left out in place of an attacker who kept to the usual length:
on ../shared/fashion, Dirichlet(0.5), a sign flip then costs 4 points of recall@10 (benchmarks/attackers.py). Honest
directions agree (cosines of 0.15 to 0.25 there), whatever their lengths, and those of attackers do not (below 0.02).
Clipping to the median bounds what an attacker gains by length in a round in which it is taken all the same; both ideas
stand together in FLAME (Nguyen et al. 2022), which clusters directions and adds noise.
"""

from __future__ import annotations

import math

import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy.multikrum import select_multikrum

from federation.strategies.robust import RobustStrategy
from federation.tensors import Tensors

PLACE = "place"


class CosineKrum(RobustStrategy):
    """All but ``config.attackers`` updates count, those that point most nearly where the others do."""

    def needed(self) -> int:
        """Krum's condition: n > 2 f + 2."""
        return 2 * self.config.attackers + 3

    def combine(self) -> Tensors:
        """The mean of the chosen updates; memory: all of the round, twice."""
        deltas, self._deltas = self._deltas, []
        norms = [_norm(delta) for delta in deltas]
        limit = float(np.median(norms))
        chosen = self._chosen(deltas, norms)
        shares = [np.float32(min(1.0, limit / norms[i]) / len(chosen)) if norms[i] else np.float32(0) for i in chosen]
        return {
            name: np.asarray(sum(deltas[i][name] * share for i, share in zip(chosen, shares, strict=True)), np.float32)
            for name in deltas[0]
        }

    def _chosen(self, deltas: list[Tensors], norms: list[float]) -> list[int]:
        """Numbers of the updates that count, ascending: the sum's last bits must not hang on their scores."""
        attackers = self.config.attackers
        contents = [_content(i, delta, norm) for i, (delta, norm) in enumerate(zip(deltas, norms, strict=True))]
        selected = select_multikrum(contents, attackers, len(deltas) - attackers)
        return sorted(int(str(content.metric_records["metrics"][PLACE])) for content in selected)


def _norm(delta: Tensors) -> float:
    """Of all tensors together, in double precision."""
    return math.sqrt(sum(float(np.vdot(array, array)) for array in delta.values()))


def _content(place: int, delta: Tensors, norm: float) -> RecordDict:
    """What Flower's choice looks at: the update's direction, and its place among the others."""
    scale = np.float32(1 / norm if norm else 0)
    arrays = ArrayRecord({name: Array(np.asarray(array * scale, order="C")) for name, array in delta.items()})
    return RecordDict({"arrays": arrays, "metrics": MetricRecord({PLACE: place})})
