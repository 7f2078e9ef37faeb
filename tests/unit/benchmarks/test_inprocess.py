"""The benchmarks' federation is the platform's: same partitions, same training, same bytes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.inprocess import Bench, Catalogue, load_catalogue
from benchmarks.localclients import Known, LocalClient
from clients.dataset import open_dataset
from clients.learning import Learner, Task
from core.names import client_names
from core.settings import Attack, Settings, SimulationFaults
from federation.presets import load_preset
from federation.tensors import size_bytes
from federation.training import LocalUpdate
from federation.wire import from_record, to_record
from server.exchange import RoundTask
from server.simulation import prepare_simulation
from server.stores import OWNER
from tests.models import tiny_config

CONFIG = tiny_config(rounds=2, local_epochs=2, batch_size=16, template_captions=0.3, views=2)
UPDATE = LocalUpdate({}, 1, 0.0, {})
PARTITION = "dirichlet(1.0, article_type)"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load_catalogue("synthetic", limit=120, cache=tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def bench(catalogue: Catalogue) -> Bench:
    return Bench.open(CONFIG, catalogue)


def test_client_learns_bit_for_bit_what_a_real_one_learns(bench: Bench, tmp_path: Path) -> None:
    loaded = prepare_simulation(tmp_path, spec="synthetic", clients=3, partition_spec=PARTITION, limit=120)
    start = bench.start(CONFIG)
    for number, (name, products) in enumerate(bench.clients(3, PARTITION).items()):
        dataset = open_dataset(Settings(_env_file=None, simulation_dir=tmp_path), partition=number)
        # The last bit of an activation depends on the others of its batch: take them from one cache.
        shutil.copytree(bench.catalogue.root / "cache" / OWNER, tmp_path / "cache" / name)
        version, base_hash = str(loaded["version"]), load_preset("tiny").base_hash
        real = Learner(dataset, Task("run", CONFIG, 2, 1, version, base_hash), features_dir=tmp_path / "cache").learn(
            start
        )
        asked = RoundTask("run", 2, 1, version, base_hash, CONFIG).content(to_record(start))
        answer = LocalClient(name, products, bench.model(CONFIG)).answer(asked)
        metrics = answer.metric_records["metrics"]
        assert (name, metrics["num-examples"], metrics["loss"]) == (dataset.client, real.examples, real.loss)
        for tensor, array in from_record(answer.array_records["arrays"], like=start).items():
            np.testing.assert_array_equal(array, real.delta[tensor])


def test_rounds_change_the_state_and_are_the_same_when_repeated(bench: Bench) -> None:
    clients = bench.clients(3, PARTITION)
    first, again = (list(bench.federate(clients, CONFIG)) for _ in range(2))
    assert [outcome.round for outcome in first] == [1, 2]
    for tensor, array in first[-1].state.items():
        np.testing.assert_array_equal(array, again[-1].state[tensor])
    assert not np.array_equal(first[0].state["heads.image.weight"], first[1].state["heads.image.weight"])
    assert 0 <= first[-1].val.recall_at_10 <= 1
    assert first[-1].val.gallery == bench.catalogue.manifest.kept
    values = size_bytes(first[0].state) * len(clients)
    assert values < first[0].bytes_up < 1.5 * values


def test_encodings_travel_in_both_directions(bench: Bench) -> None:
    clients = bench.clients(2)
    config = replace(CONFIG, rounds=1, encoding="int8", encoding_down="fp16")
    plain, coded = next(bench.federate(clients, CONFIG)), next(bench.federate(clients, config))
    assert coded.bytes_up < coded.bytes_down < plain.bytes_down
    assert coded.loss == pytest.approx(plain.loss, rel=0.05)


def test_attacker_turns_the_mean_around(bench: Bench) -> None:
    clients, start = bench.clients(2), bench.start(CONFIG)
    faults = SimulationFaults(attackers=tuple(clients), attack="sign_flip")
    honest, attacked = (next(bench.federate(clients, CONFIG, faults=f)).state for f in (SimulationFaults(), faults))
    moved = [state["heads.text.weight"] - start["heads.text.weight"] for state in (honest, attacked)]
    np.testing.assert_allclose(moved[0], -moved[1], rtol=1e-3, atol=1e-6)


def test_validation_refuses_what_the_trusting_mean_takes(bench: Bench) -> None:
    clients = bench.clients(4)
    faults = SimulationFaults(attackers=("cobre",), attack="scaled")
    checked = next(bench.federate(clients, CONFIG, faults=faults))
    honest = {name: products for name, products in clients.items() if name != "cobre"}
    without = next(bench.federate(honest, CONFIG))
    assert [reason.split(":")[-2].strip() for reason in checked.rejections] == ["cobre"]
    for tensor, array in checked.state.items():
        np.testing.assert_array_equal(array, without.state[tensor])
    trusted = next(bench.federate(clients, CONFIG, faults=faults, is_validated=False))
    assert not trusted.rejections
    assert not np.array_equal(trusted.state["heads.image.weight"], without.state["heads.image.weight"])


def test_validation_changes_nothing_for_honest_clients(bench: Bench) -> None:
    clients = bench.clients(3)
    checked, trusted = (next(bench.federate(clients, CONFIG, is_validated=how)) for how in (True, False))
    for tensor, array in checked.state.items():
        np.testing.assert_array_equal(array, trusted.state[tensor])
    assert (checked.bytes_up, checked.bytes_down) == (trusted.bytes_up, trusted.bytes_down)
    assert checked.loss == pytest.approx(trusted.loss)


@pytest.mark.parametrize("attack", ["sign_flip", "label_swap"])
def test_training_that_another_run_did_is_not_repeated_and_gives_the_same(bench: Bench, attack: Attack) -> None:
    clients, known = bench.clients(4), Known()
    faults = SimulationFaults(attackers=("cobre",), attack=attack)
    for used in (SimulationFaults(), faults):
        plain, remembered = (list(bench.federate(clients, CONFIG, faults=used, known=k)) for k in (None, known))
        for tensor, array in plain[-1].state.items():
            np.testing.assert_array_equal(array, remembered[-1].state[tensor])
    assert known.get("new", lambda: UPDATE) is UPDATE
    assert known.get("new", lambda: pytest.fail("it was known")) is UPDATE


def test_what_was_used_least_lately_is_forgotten() -> None:
    known = Known(most=2)
    for key in ("a", "b", "a", "c"):
        known.get(key, lambda: UPDATE)
    other = LocalUpdate({}, 2, 0.0, {})
    assert known.get("a", lambda: other) is UPDATE
    assert known.get("b", lambda: other) is other


def test_parts_of_the_train_split_are_all_of_it_once(bench: Bench) -> None:
    clients = bench.clients(3, PARTITION)
    assert list(clients) == client_names(3)
    ids = np.concatenate([products.ids for products in clients.values()])
    assert sorted(ids) == sorted(bench.products.ids)


def test_catalogue_is_prepared_once(catalogue: Catalogue) -> None:
    again = load_catalogue("synthetic", limit=120, cache=catalogue.root.parent)
    assert again.manifest == catalogue.manifest
