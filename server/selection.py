"""Which clients a run is about, and which of them a round asks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from catalog.manifest import CatalogueManifest
from federation.config import PRIVATE_CLIENTS, FederationConfig
from federation.errors import FederationConfigError
from federation.masking.session import MOST
from server.errors import ClientUnknown


@dataclass(frozen=True)
class Expected:
    """What the catalogue's manifest says about the clients, and the base that all must share."""

    catalogue_version: str
    base_hash: str
    products: dict[str, int]
    """Client → number of products in its partition."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Client → number of products that it enrolled for at most, where that was said."""


def wanted_clients(config: FederationConfig, products: Mapping[str, int]) -> tuple[str, ...]:
    """The clients that a run is about, sorted: those it names, or all of the catalogue.

    Raises:
        ClientUnknown: the run names one that has no partition in the catalogue.
        FederationConfigError: it shall be private, and is about too few.
    """
    unknown = [name for name in config.client_names if name not in products]
    if unknown:
        raise ClientUnknown(
            f"The catalogue has no partition for {', '.join(unknown)}.",
            hint=f"Its clients are {', '.join(sorted(products))}.",
        )
    wanted = config.client_names or tuple(sorted(products))
    kind = "confidential" if config.is_confidential else "private"
    if config.counts_alike and len(wanted) < PRIVATE_CLIENTS:
        raise FederationConfigError(
            f"The run is about {len(wanted)} clients, a {kind} one needs {PRIVATE_CLIENTS}.",
            hint="With fewer, each knows too much of what the others sent.",
        )
    if config.is_confidential and config.sample * len(wanted) > MOST:
        raise FederationConfigError(
            f"A round would ask {config.sample * len(wanted):.0f} clients, a confidential one has {MOST} at most.",
            hint="Set sample lower: every client exchanges keys with each other.",
        )
    return wanted


def sample(names: Sequence[str], config: FederationConfig, round_number: int) -> list[str]:
    """The clients of one round, sorted.

    Drawn by a generator of its own for each round, from seed and round number alone: this is all the state that the
    sampling has, so a resumed run, or a round that is tried again, draws the same clients without any checkpoint.
    """
    size = min(len(names), max(math.ceil(config.sample * len(names)), config.clients_needed))
    generator = np.random.default_rng([config.seed, round_number])
    chosen = generator.choice(len(names), size=size, replace=False)
    return sorted(names[i] for i in chosen)


def partition_sizes(manifest: CatalogueManifest, removed: Set[str] = frozenset()) -> dict[str, int]:
    """Client → number of products in its partition; without those that were removed since the catalogue was loaded."""
    return {client.name: client.products for client in manifest.clients if client.name not in removed}
