"""What surrounds a simulation; the engine itself runs in tests/integration."""

from __future__ import annotations

from pathlib import Path

from core.names import client_names
from federation.config import FederationConfig
from server.simulation import chosen_attackers, prepare_simulation, with_shared_cores


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


def test_deadline_of_a_round_grows_with_the_clients_that_share_a_core() -> None:
    config = FederationConfig(deadline_s=60.0)
    deadlines = [with_shared_cores(config, clients=n, cores=2).deadline_s for n in (1, 2, 3, 100)]
    assert deadlines == [60.0, 60.0, 120.0, 3000.0]
