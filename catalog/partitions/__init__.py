"""Who holds which products: evenly, or skewed as real merchants' catalogues are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from catalog.errors import EmptyPartition, PartitionInvalid
from catalog.partitions.rules import ByValue, Dirichlet, Iid, Partition, Shares
from catalog.product import ATTRIBUTES
from catalog.splits import name_key, seeded_digest

__all__ = ["Assignment", "ByValue", "Dirichlet", "Iid", "Partition", "assign_clients", "parse_partition"]
DIRICHLET = re.compile(r"dirichlet\(\s*(?P<alpha>[0-9.eE+-]+)\s*[,;]\s*(?P<by>\w+)\s*\)")
VALUES = ("season", "gender")
HINT = (
    f"Use iid, dirichlet(alpha, by) with alpha above 0 and by one of {', '.join(ATTRIBUTES)}, "
    f"or one of {', '.join(VALUES)}: whole values of that attribute for each client."
)
Labelled = Iterable[tuple[str, str | None]]
"""(product_display_name, value of the partition's ``by``) of each product."""


def parse_partition(spec: str) -> Partition:
    """``iid``, ``dirichlet(0.5, sub_category)`` (or subCategory), ``season``, ``gender``; else PartitionInvalid."""
    word = spec.strip()
    if word == "iid":
        return Iid()
    if word.removeprefix("by ") in VALUES:
        return ByValue(word.removeprefix("by "))
    match = DIRICHLET.fullmatch(word)
    if not match:
        raise PartitionInvalid(f"{spec!r} is no partition.", hint=HINT)
    try:
        alpha = float(match["alpha"])
    except ValueError:
        raise PartitionInvalid(f"{match['alpha']!r} is no alpha.", hint=HINT) from None
    by = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", match["by"]).lower()
    # Below 0.001 the draw degenerates to NaN; above a million it is iid.
    if not 1e-3 <= alpha <= 1e6 or by not in ATTRIBUTES:
        raise PartitionInvalid(f"{spec!r} is no partition.", hint=HINT)
    return Dirichlet(alpha, by)


class Assignment:
    """The rule as it was fixed by a train split, for that split and those that are held out.

    Equal names stay with one client. The order of the products has no influence. Memory: some 150 bytes a product.
    """

    def __init__(self, train: Labelled, partition: Partition, clients: Sequence[str], *, seed: int) -> None:
        """Deal the train split.

        Args:
            train: its products; read once.
            partition: how to spread them.
            clients: distinct names.
            seed: other seeds give other partitions.

        Raises:
            PartitionInvalid: no clients, or one named twice.
            EmptyPartition: a client would get nothing.
        """
        if not clients:
            raise PartitionInvalid("A catalogue cannot be partitioned over 0 clients.", hint="Ask for at least one.")
        if len(set(clients)) != len(clients):
            raise PartitionInvalid("Two clients have the same name.", hint="Name each client once.")
        self._clients, self._seed = tuple(clients), seed
        self._has_labels = partition.by is not None
        groups = self._groups(train)
        self._shares_of = partition.shares(groups.label_sizes(), len(clients), seed=seed)
        self.train = self._deal(groups)
        """For each product of the train split, in order, the name of its client."""
        empty = [name for name in clients if name not in set(self.train)]
        if empty:
            raise EmptyPartition(
                f"{', '.join(empty)} would get no product ({len(self.train)} products over {len(clients)} clients).",
                hint="Take fewer clients, more products, or a larger alpha.",
            )

    def held_out(self, products: Labelled) -> list[str]:
        """Whose each product of another split is by the same rule; a client may have none."""
        return self._deal(self._groups(products))

    def _groups(self, products: Labelled) -> _Groups:
        return _Groups(((name, label if self._has_labels else None) for name, label in products), self._seed)

    def _deal(self, groups: _Groups) -> list[str]:
        """Each group to the client that most lacks its share of the group's label."""
        shares: dict[str, Shares] = {}
        held: dict[str, Shares] = defaultdict(lambda: np.zeros(len(self._clients)))
        client_of: dict[int, str] = {}
        for digest in sorted(groups.sizes):
            label, products = groups.labels[digest], groups.sizes[digest]
            if label not in shares:
                shares[label] = self._shares_of(label)
            client = int(np.argmax(shares[label] * (held[label].sum() + products) - held[label]))
            held[label][client] += products
            client_of[digest] = self._clients[client]
        return [client_of[digest] for digest in groups.digests]


class _Groups:
    """Products of one name together, under the smallest of their labels, in a seeded order."""

    def __init__(self, products: Labelled, seed: int) -> None:
        self.digests: list[int] = []
        self.labels: dict[int, str] = {}
        self.sizes: dict[int, int] = defaultdict(int)
        for name, label in products:
            digest = seeded_digest(seed, f"partition\0{name_key(name)}")
            self.digests.append(digest)
            self.labels[digest] = min(self.labels.get(digest, label or ""), label or "")
            self.sizes[digest] += 1

    def label_sizes(self) -> dict[str, int]:
        """Products of each label."""
        sizes: dict[str, int] = defaultdict(int)
        for digest, label in self.labels.items():
            sizes[label] += self.sizes[digest]
        return sizes


def assign_clients(products: Labelled, partition: Partition, clients: Sequence[str], *, seed: int) -> list[str]:
    """The client of each product of a train split; see `Assignment`."""
    return Assignment(products, partition, clients, seed=seed).train
