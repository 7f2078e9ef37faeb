"""Who holds which products of the train split: evenly, or skewed as real merchants' catalogues are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from catalog.errors import EmptyPartition, PartitionInvalid
from catalog.product import ATTRIBUTES
from catalog.splits import name_key, seeded_digest

DIRICHLET = re.compile(r"dirichlet\(\s*(?P<alpha>[0-9.eE+-]+)\s*,\s*(?P<by>\w+)\s*\)")
HINT = f"Use iid, or dirichlet(alpha, by) with alpha above 0 and by one of {', '.join(ATTRIBUTES)}."


@dataclass(frozen=True, slots=True)
class Iid:
    """Every client gets alike: as many products, of the same mixture."""

    by: str | None = None

    def deal(self, groups: Sequence[tuple[int, str, int]], clients: int, *, seed: int) -> list[int]:  # noqa: ARG002
        """The client of each group (order key, label, products): always the one that has fewest."""
        held = [0] * clients
        dealt = []
        for _, _, products in groups:
            client = held.index(min(held))
            held[client] += products
            dealt.append(client)
        return dealt


@dataclass(frozen=True, slots=True)
class Dirichlet:
    """Each value of the attribute ``by`` is spread by shares drawn from a symmetric Dirichlet(alpha) (Hsu et al. 2019).

    Small alpha: each client specialises. Large alpha: nearly iid.
    """

    alpha: float
    by: str

    def deal(self, groups: Sequence[tuple[int, str, int]], clients: int, *, seed: int) -> list[int]:
        """The client of each group (order key, label, products): the one that most lacks its share of the label."""
        shares: dict[str, np.ndarray] = {}
        dealt_of: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(clients))
        dealt = []
        for _, label, products in groups:
            if label not in shares:
                # Seeded by the label: the labels' order, which is the groups', has no influence.
                generator = np.random.default_rng([seed, seeded_digest(seed, label)])
                shares[label] = generator.dirichlet(np.full(clients, self.alpha))
            held = dealt_of[label]
            client = int(np.argmax(shares[label] * (held.sum() + products) - held))
            held[client] += products
            dealt.append(client)
        return dealt


Partition = Iid | Dirichlet


def parse_partition(spec: str) -> Partition:
    """``iid`` or ``dirichlet(0.5, sub_category)``; PartitionInvalid for anything else."""
    if spec.strip() == "iid":
        return Iid()
    match = DIRICHLET.fullmatch(spec.strip())
    if not match:
        raise PartitionInvalid(f"{spec!r} is no partition.", hint=HINT)
    try:
        alpha = float(match["alpha"])
    except ValueError:
        raise PartitionInvalid(f"{match['alpha']!r} is no alpha.", hint=HINT) from None
    # Below 0.001 the draw degenerates to NaN; above a million it is iid.
    if not 1e-3 <= alpha <= 1e6 or match["by"] not in ATTRIBUTES:
        raise PartitionInvalid(f"{spec!r} is no partition.", hint=HINT)
    return Dirichlet(alpha, match["by"])


def assign_clients(
    products: Iterable[tuple[str, str | None]], partition: Partition, clients: Sequence[str], *, seed: int
) -> list[str]:
    """The client of each product of the train split.

    Equal names stay with one client. The order of the products has no influence. Memory: some 150 bytes a product.

    Args:
        products: (product_display_name, value of ``partition.by``) of each product; read once.
        partition: how to spread them.
        clients: distinct names.
        seed: other seeds give other partitions.

    Returns:
        For each product, in order, the name of its client.

    Raises:
        PartitionInvalid: no clients, or one named twice.
        EmptyPartition: a client would get nothing.
    """
    if not clients:
        raise PartitionInvalid("A catalogue cannot be partitioned over 0 clients.", hint="Ask for at least one.")
    if len(set(clients)) != len(clients):
        raise PartitionInvalid("Two clients have the same name.", hint="Name each client once.")
    digests: list[int] = []
    labels: dict[int, str] = {}
    sizes: dict[int, int] = defaultdict(int)
    for name, label in products:
        digest = seeded_digest(seed, f"partition\0{name_key(name)}")
        digests.append(digest)
        labels[digest] = min(labels.get(digest, label or ""), label or "")
        sizes[digest] += 1
    groups = [(digest, labels[digest], sizes[digest]) for digest in sorted(sizes)]
    dealt = partition.deal(groups, len(clients), seed=seed)
    client_of = {group[0]: clients[client] for group, client in zip(groups, dealt, strict=True)}
    empty = [name for name in clients if name not in set(client_of.values())]
    if empty:
        raise EmptyPartition(
            f"{', '.join(empty)} would get no product ({len(digests)} products over {len(clients)} clients).",
            hint="Take fewer clients, more products, or a larger alpha.",
        )
    return [client_of[digest] for digest in digests]
