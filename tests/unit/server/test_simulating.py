"""What surrounds a simulation; the engine itself runs in tests/integration."""

from __future__ import annotations

from pathlib import Path

from core.names import client_names
from server.simulation import chosen_attackers, prepare_simulation


def test_seed_decides_which_clients_attack() -> None:
    chosen = chosen_attackers(7, 2, seed=0)
    assert len(set(chosen)) == 2
    assert set(chosen) <= set(client_names(7))
    assert chosen == chosen_attackers(7, 2, seed=0)
    assert len({chosen_attackers(7, 2, seed=seed) for seed in range(5)}) > 1


def test_more_attackers_keep_those_that_were_chosen_first() -> None:
    assert set(chosen_attackers(7, 1, seed=3)) < set(chosen_attackers(7, 3, seed=3))
    assert chosen_attackers(7, 0, seed=3) == ()


def test_smaller_simulation_in_the_folder_of_a_larger_one_has_its_own_clients_only(tmp_path: Path) -> None:
    prepare_simulation(tmp_path, spec="synthetic", clients=12, limit=80)
    prepare_simulation(tmp_path, spec="synthetic", clients=2, limit=80)
    assert sorted(path.name for path in tmp_path.glob("client-*")) == ["client-aurora", "client-boreal"]
