"""Whose own held-out titles are which of a split's queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def queries_of_clients(
    queries: NDArray[np.int64], owners: Sequence[str], names: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """Positions among ``queries`` of each client's own titles.

    Args:
        queries: (Q,) distinct names, ascending.
        owners: the client of each product of the split; empty where a catalogue has no owners.
        names: (N,) name of each product of the split, in the order of ``owners``.

    Returns:
        Client → ascending positions. Every query belongs to one client, as equal names do.
    """
    if not len(owners):
        return {}
    positions = np.searchsorted(queries, names)
    owned = np.asarray(owners)
    return {str(client): np.unique(positions[owned == client]) for client in np.unique(owned)}
