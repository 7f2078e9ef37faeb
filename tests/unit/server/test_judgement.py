from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from federation.evaluation import Retrieval
from server.judgement import MIN_QUERIES, judge

QUERIES = 400
CLIENTS = {name: np.arange(i * 100, (i + 1) * 100) for i, name in enumerate(("aurora", "boreal", "cobre", "duna"))}


def retrieval(recalls: NDArray[np.float64]) -> Retrieval:
    return Retrieval(1000, recalls, recalls, recalls)


def answered(seed: int, level: float, count: int = QUERIES) -> NDArray[np.float64]:
    return (np.random.default_rng(seed).random(count) < level).astype(np.float64)


def test_gain_for_all_is_earned() -> None:
    found = judge(retrieval(answered(0, 0.6)), retrieval(answered(1, 0.3)), CLIENTS)
    assert found.is_earned
    assert found.reason("champion version 1") == "better than champion version 1, and no client is worse off"
    assert [client.client for client in found.clients] == sorted(CLIENTS)


def test_gain_at_one_client_s_cost_is_refused_and_names_it() -> None:
    before = answered(1, 0.4)
    after = np.maximum(before, answered(2, 0.5))
    after[CLIENTS["cobre"]] = 0
    found = judge(retrieval(after), retrieval(before), CLIENTS)
    assert found.overall.is_better
    assert not found.is_earned
    assert [client.client for client in found.harmed] == ["cobre"]
    assert "cobre falls from 0." in found.reason("zero shot")
    assert "to 0.000 on its 100 titles" in found.reason("zero shot")


def test_loss_within_chance_harms_nobody() -> None:
    before = answered(1, 0.4)
    after = np.maximum(before, answered(2, 0.3))
    lost = np.flatnonzero(before[CLIENTS["boreal"]])[:2] + 100
    after[CLIENTS["boreal"]], after[lost] = before[CLIENTS["boreal"]], 0
    found = judge(retrieval(after), retrieval(before), CLIENTS)
    boreal = next(client for client in found.clients if client.client == "boreal")
    assert boreal.difference < 0
    assert found.is_earned


def test_client_with_few_titles_is_told_apart_not_judged() -> None:
    before, after = answered(0, 0.3), answered(1, 0.6)
    after[:3] = 0
    before[:3] = 1
    found = judge(retrieval(after), retrieval(before), {"aurora": np.arange(3), "boreal": np.arange(3, QUERIES)})
    assert found.unjudged == {"aurora": 3}
    assert found.is_earned
    assert MIN_QUERIES > 3


@pytest.mark.parametrize("clients", [3, 30])
def test_equal_models_are_seldom_called_harmful_however_many_clients_there_are(clients: int) -> None:
    """Two models of equal quality that answer differently: at most one promotion in twenty may cry harm."""
    queries_of = {f"client-{i}": np.arange(i * 40, (i + 1) * 40) for i in range(clients)}
    count = clients * 40

    def cries_harm(trial: int) -> bool:
        one, other = (retrieval(answered(2 * trial + i, 0.4, count)) for i in (0, 1))
        return bool(judge(one, other, queries_of).harmed)

    assert sum(map(cries_harm, range(12))) <= 3
