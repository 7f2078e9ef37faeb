from __future__ import annotations

import numpy as np

from server.holdouts import queries_of_clients


def test_each_query_belongs_to_the_client_of_its_products() -> None:
    names = np.array([7, 3, 7, 9, 4])
    owners = ["aurora", "boreal", "aurora", "boreal", "cobre"]
    found = queries_of_clients(np.unique(names), owners, names)
    assert {client: rows.tolist() for client, rows in found.items()} == {"aurora": [2], "boreal": [0, 3], "cobre": [1]}


def test_catalogue_without_owners_has_no_client_s_queries() -> None:
    assert queries_of_clients(np.array([1, 2]), [], np.array([1, 2])) == {}
