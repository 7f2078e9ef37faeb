"""Train, val and test: no name on two sides, every article type on all, the same for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from catalog.product import SPLITS

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def name_key(name: str) -> str:
    """Names with the same key are one name: case and spacing do not tell products apart."""
    return " ".join(name.split()).casefold()


def seeded_digest(seed: int, text: str) -> int:
    """64 bits that are the same for the same seed and text on every machine, and otherwise look random."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{text}".encode(), digest_size=8).digest())


@dataclass(slots=True)
class _Group:
    """The products of one name; its stratum is the article type of the first."""

    article_type: str
    products: int


def assign_splits(products: Iterable[tuple[str, str | None]], *, seed: int) -> list[str]:
    """The split of each product, 80/10/10.

    Groups of equal names are dealt article type by article type, each to the split that lacks most products by then, so
    that every type is spread alike and rounding errors do not add up over small types. The order of the products has no
    influence. Memory: some 150 bytes a product; no name is kept.

    Args:
        products: (product_display_name, article_type) of each product; read once.
        seed: other seeds give other splits.

    Returns:
        For each product, in order, one of `catalog.product.SPLITS`.
    """
    digests: list[int] = []
    groups: dict[int, _Group] = {}
    for name, article_type in products:
        digest = seeded_digest(seed, name_key(name))
        digests.append(digest)
        # The smallest type of a name decides, so that the order of the rows does not.
        group = groups.setdefault(digest, _Group(article_type or "", 0))
        group.article_type = min(group.article_type, article_type or "")
        group.products += 1
    split_of = _deal(groups, seed)
    return [split_of[digest] for digest in digests]


def _deal(groups: dict[int, _Group], seed: int) -> dict[int, str]:
    """The split of each group."""
    dealt = dict.fromkeys(SPLITS, 0)
    total = 0
    split_of: dict[int, str] = {}
    # Digests are seeded already: their order shuffles the groups of a type, and that of the types' own, the types.
    types = {group.article_type: seeded_digest(seed, group.article_type) for group in groups.values()}
    for digest, group in sorted(groups.items(), key=lambda entry: (types[entry[1].article_type], entry[0])):
        total += group.products
        split = max(SPLITS, key=lambda name: SHARES[name] * total - dealt[name])
        split_of[digest] = split
        dealt[split] += group.products
    return split_of
