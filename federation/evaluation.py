"""Text→image retrieval: each distinct title of a split is a query, the gallery is every product of the catalogue.

Relevance is by name: every product that bears the query's name is a hit. Recall@k is the share of a query's relevant
products among the first k, averaged over queries; MRR is cut at 10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from federation.errors import NothingToLearn, ShapeError

CUT = 10
QUERIES_AT_ONCE = 512


@dataclass(frozen=True)
class Retrieval:
    """How well queries found their products; per-query values are kept for paired comparisons."""

    gallery: int
    recall_at_1_by_query: NDArray[np.float64]
    recall_at_10_by_query: NDArray[np.float64]
    reciprocal_rank_by_query: NDArray[np.float64]

    @property
    def queries(self) -> int:
        """Number of queries."""
        return len(self.recall_at_10_by_query)

    @property
    def recall_at_1(self) -> float:
        """Mean over queries."""
        return float(self.recall_at_1_by_query.mean())

    @property
    def recall_at_10(self) -> float:
        """Mean over queries."""
        return float(self.recall_at_10_by_query.mean())

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank of the first hit, 0 beyond rank 10."""
        return float(self.reciprocal_rank_by_query.mean())


def evaluate_retrieval(
    queries: NDArray[np.float32],
    query_names: NDArray[np.int64],
    gallery: NDArray[np.float32],
    gallery_names: NDArray[np.int64],
) -> Retrieval:
    """Rank the gallery for each query and count the hits.

    Args:
        queries: (Q, D) unit-norm text embeddings.
        query_names: (Q,) name of each query, as a number.
        gallery: (G, D) unit-norm image embeddings.
        gallery_names: (G,) name of each product.

    Raises:
        NothingToLearn: no query, or a query whose name no product bears.
        ShapeError: lengths do not match.
    """
    if len(queries) != len(query_names) or len(gallery) != len(gallery_names):
        raise ShapeError(f"{len(queries)} queries, {len(query_names)} names; {len(gallery)}, {len(gallery_names)}.")
    counts = dict(zip(*(a.tolist() for a in np.unique(gallery_names, return_counts=True)), strict=True))
    relevant = np.array([counts.get(name, 0) for name in query_names.tolist()])
    if not len(queries) or not relevant.all():
        raise NothingToLearn("There is no query, or one that no product answers.", hint="Load a larger catalogue.")
    hits = np.concatenate([_hits(*chunk, gallery, gallery_names) for chunk in _chunks(queries, query_names)])
    ranks = np.arange(1, hits.shape[1] + 1)
    return Retrieval(
        gallery=len(gallery),
        recall_at_1_by_query=hits[:, 0] / relevant,
        recall_at_10_by_query=hits.sum(axis=1) / relevant,
        reciprocal_rank_by_query=(hits / ranks).max(axis=1),
    )


def _chunks(
    queries: NDArray[np.float32], names: NDArray[np.int64]
) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    starts = range(0, len(queries), QUERIES_AT_ONCE)
    return [(queries[i : i + QUERIES_AT_ONCE], names[i : i + QUERIES_AT_ONCE]) for i in starts]


def _hits(
    queries: NDArray[np.float32],
    names: NDArray[np.int64],
    gallery: NDArray[np.float32],
    gallery_names: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """(Q, ≤10) whether the product at each rank bears the query's name."""
    similarity = torch.from_numpy(queries) @ torch.from_numpy(gallery).T  # (Q, G)
    best = similarity.topk(min(CUT, len(gallery)), dim=1).indices.numpy()
    hits: NDArray[np.bool_] = gallery_names[best] == names[:, None]
    return hits


@dataclass(frozen=True)
class FirstHits:
    """Where queries found their first product, for people who look at single ones."""

    rank: NDArray[np.int64]
    """(Q,) 1 is best, the gallery's size the worst; products of the same similarity do not push a hit down."""
    best: NDArray[np.int64]
    """(Q,) row of the gallery that was ranked first."""


def first_hits(
    queries: NDArray[np.float32],
    query_names: NDArray[np.int64],
    gallery: NDArray[np.float32],
    gallery_names: NDArray[np.int64],
) -> FirstHits:
    """The rank of each query's first hit, however far down; arguments as in `evaluate_retrieval`."""
    ranks, best = [], []
    everything, names_of_all = torch.from_numpy(gallery), torch.from_numpy(gallery_names)
    for chunk, names in _chunks(queries, query_names):
        similarity = torch.from_numpy(chunk) @ everything.T  # (q, G)
        is_hit = names_of_all[None, :] == torch.from_numpy(names)[:, None]  # (q, G)
        nearest = similarity.masked_fill(~is_hit, -torch.inf).amax(dim=1, keepdim=True)  # (q, 1)
        ranks.append((similarity > nearest).sum(dim=1) + 1)
        best.append(similarity.argmax(dim=1))
    return FirstHits(torch.cat(ranks).numpy(), torch.cat(best).numpy())
