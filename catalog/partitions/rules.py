"""What share of each label a client gets; one rule a class. A rule is fixed by the train split and holds for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from catalog.splits import seeded_digest

Shares = NDArray[np.float64]
SharesOf = Callable[[str], Shares]
"""A label's shares: (clients,), not negative, adding up to 1."""


class Partition(Protocol):
    """How the products of a catalogue are spread over clients."""

    @property
    def by(self) -> str | None:
        """The attribute whose values are the labels; None: all products have the same."""

    def shares(self, sizes: Mapping[str, int], clients: int, *, seed: int) -> SharesOf:
        """The rule for a train split that has ``sizes`` products of each label."""


@dataclass(frozen=True, slots=True)
class Iid:
    """Every client gets alike: as many products, of the same mixture."""

    by: str | None = None

    def shares(self, sizes: Mapping[str, int], clients: int, *, seed: int) -> SharesOf:  # noqa: ARG002
        """The same for all."""
        return lambda _: np.full(clients, 1 / clients)


@dataclass(frozen=True, slots=True)
class Dirichlet:
    """Each value of the attribute ``by`` is spread by shares drawn from a symmetric Dirichlet(alpha) (Hsu et al. 2019).

    Small alpha: each client specialises. Large alpha: nearly iid.
    """

    alpha: float
    by: str

    def shares(self, sizes: Mapping[str, int], clients: int, *, seed: int) -> SharesOf:  # noqa: ARG002
        """Drawn for each label from a seed of its own: which other labels there are has no influence."""

        def draw(label: str) -> Shares:
            generator = np.random.default_rng([seed, seeded_digest(seed, label)])
            return generator.dirichlet(np.full(clients, self.alpha))

        return draw


@dataclass(frozen=True, slots=True)
class ByValue:
    """Each client gets whole values of the attribute ``by``: the winter merchant, the children's outfitter.

    Values are dealt from the largest on, each to the client that has least. Where there are more clients than values,
    the clients without one share the largest values with those who have them. Products without a value, or with one
    that the train split has not, are spread evenly.
    """

    by: str

    def shares(self, sizes: Mapping[str, int], clients: int, *, seed: int) -> SharesOf:  # noqa: ARG002
        """Whole values where there are enough of them."""
        named = {label: count for label, count in sizes.items() if label}
        holders = _deal_values(named, clients)
        even = np.full(clients, 1 / clients)

        def of(label: str) -> Shares:
            if label not in holders:
                return even
            shares = np.zeros(clients)
            shares[holders[label]] = 1 / len(holders[label])
            return shares

        return of


def _deal_values(sizes: Mapping[str, int], clients: int) -> dict[str, list[int]]:
    """The clients that hold each value."""
    held = np.zeros(clients)
    holders: dict[str, list[int]] = {}
    for label in sorted(sizes, key=lambda label: (-sizes[label], label)):
        client = int(np.argmin(held))
        holders[label] = [client]
        held[client] += sizes[label]
    if not holders:
        return {}
    for client in np.flatnonzero(held == 0).tolist():
        # Whose holders have most each shares with one more.
        label = max(holders, key=lambda value: (sizes[value] / len(holders[value]), value))
        holders[label].append(client)
    return holders
