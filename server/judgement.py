"""Whether a challenger has earned its promotion: better for all together beyond chance, and worse for no client.

A federation that lifts the mean at one member's cost has no reason to be joined by that member. So each client's own
held-out titles are compared too, and a refusal names the client and the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import NDArray

from federation.comparison import Comparison, paired_bootstrap
from federation.evaluation import Retrieval

ERROR_RATE = 0.05
MIN_QUERIES = 10
"""A bootstrap over fewer titles says more about the titles than about the models."""


@dataclass(frozen=True)
class ClientComparison:
    """Recall@10 on one client's own held-out titles, over the whole gallery."""

    client: str
    queries: int
    challenger: float
    incumbent: float
    difference: float
    lower: float
    upper: float

    @property
    def is_harmed(self) -> bool:
        """The whole interval lies below zero."""
        return self.upper < 0

    def __str__(self) -> str:
        return (
            f"{self.client} falls from {self.incumbent:.3f} to {self.challenger:.3f} on its {self.queries} titles "
            f"(difference within [{self.lower:+.3f}, {self.upper:+.3f}])"
        )


@dataclass(frozen=True)
class Judgement:
    """What the comparison came to."""

    overall: Comparison
    clients: tuple[ClientComparison, ...]
    unjudged: Mapping[str, int]
    """Clients with too few titles of their own to be judged, and how many they have."""

    @property
    def harmed(self) -> tuple[ClientComparison, ...]:
        """The clients that lose beyond chance."""
        return tuple(client for client in self.clients if client.is_harmed)

    @property
    def is_earned(self) -> bool:
        """Better overall, and no client harmed."""
        return self.overall.is_better and not self.harmed

    def reason(self, against: str) -> str:
        """In words, for people and the registry."""
        if not self.overall.is_better:
            return f"not better than {against} beyond chance"
        if self.harmed:
            return f"better than {against}, but {'; '.join(map(str, self.harmed))}"
        return f"better than {against}, and no client is worse off"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "interval": [self.overall.lower, self.overall.upper],
            "clients": [asdict(client) | {"is_harmed": client.is_harmed} for client in self.clients],
            "unjudged": dict(self.unjudged),
        }


def judge(challenger: Retrieval, incumbent: Retrieval, queries_of: Mapping[str, NDArray[Any]]) -> Judgement:
    """Compare two models' answers to the same queries.

    Args:
        challenger: recall by query.
        incumbent: of the same queries, in the same order.
        queries_of: client → positions of its own held-out titles among the queries.

    With n clients each interval has a confidence of 1 − 0.05 / n (Bonferroni): that one of them is called harmed by
    chance alone happens in at most 5 % of promotions, however many clients there are.
    """
    clients, unjudged = compare_groups(challenger, incumbent, queries_of)
    overall = paired_bootstrap(challenger.recall_at_10_by_query, incumbent.recall_at_10_by_query)
    return Judgement(overall, clients, unjudged)


def compare_groups(
    challenger: Retrieval, incumbent: Retrieval, queries_of: Mapping[str, NDArray[Any]]
) -> tuple[tuple[ClientComparison, ...], dict[str, int]]:
    """Recall@10 of each group of queries; and groups with too few of them, with how many they have."""
    ours, theirs = challenger.recall_at_10_by_query, incumbent.recall_at_10_by_query
    judged = {group: rows for group, rows in queries_of.items() if len(rows) >= MIN_QUERIES}
    confidence = 1 - ERROR_RATE / max(1, len(judged))
    groups = []
    for group, rows in sorted(judged.items()):
        found = paired_bootstrap(ours[rows], theirs[rows], confidence=confidence)
        means = float(ours[rows].mean()), float(theirs[rows].mean())
        groups.append(ClientComparison(group, len(rows), *means, found.difference, found.lower, found.upper))
    return tuple(groups), {group: len(rows) for group, rows in sorted(queries_of.items()) if group not in judged}
