from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from clients.dataset import open_dataset
from clients.errors import ClientMisconfigured, SimulatedCrash
from clients.faults import ATTACKS_ON_DELTAS, BOOST, NO_FAULTS, WITHIN_BOUND, Faults, swap_labels
from core.settings import Attack, Settings, SimulationFaults
from federation.config import FederationConfig
from federation.features import Activations, ProductFeatures
from federation.tensors import Tensors, subtract

DELTA: Tensors = {
    "heads.image.weight": np.random.default_rng(0).standard_normal((4, 6), np.float32),
    "heads.log_scale": np.float32(0.25) * np.ones((), np.float32),
}


def faults(attack: Attack = "sign_flip", *, client: str = "boreal", round_number: int = 1, seed: int = 0) -> Faults:
    return Faults(SimulationFaults(attackers=("boreal",), attack=attack, seed=seed), client, round_number)


def norms(delta: Tensors) -> dict[str, float]:
    return {name: float(np.linalg.norm(array)) for name, array in delta.items()}


def products(count: int = 12) -> ProductFeatures:
    rows = [np.zeros(4, np.float16) for _ in range(count)]
    return ProductFeatures(
        ids=np.arange(count),
        titles=tuple(f"Product {i}" for i in range(count)),
        names=np.arange(count),
        images=(Activations(rows),),
        texts=Activations(rows),
        templates=np.arange(count) + 100,
    )


def crashes(share: float, *, attempt: int = 1, clients: int = 200) -> tuple[set[int], set[int]]:
    """Which of many clients crash before they train, and which after."""
    before: set[int] = set()
    after: set[int] = set()
    for number in range(clients):
        one = Faults(SimulationFaults(dropout=share), f"client-{number}", 1, attempt)
        for crash, found in ((one.crash_before_training, before), (one.crash_after_training, after)):
            try:
                crash()
            except SimulatedCrash:
                found.add(number)
    return before, after


def test_there_is_a_function_for_each_attack() -> None:
    assert {*ATTACKS_ON_DELTAS, "label_swap", "nan"} == set(get_args(Attack))


def test_sign_flip_is_the_opposite_and_as_long() -> None:
    for name, array in faults("sign_flip").delta(DELTA).items():
        np.testing.assert_array_equal(array, -DELTA[name])
        assert array.dtype == np.float32


@pytest.mark.parametrize(("attack", "times"), [("scaled", BOOST), ("boosted", WITHIN_BOUND)])
def test_scaled_and_boosted_are_the_opposite_and_longer(attack: Attack, times: float) -> None:
    attacked = faults(attack).delta(DELTA)
    for name, norm in norms(attacked).items():
        assert norm == pytest.approx(times * norms(DELTA)[name], rel=1e-6)
    assert (np.sign(attacked["heads.image.weight"]) == -np.sign(DELTA["heads.image.weight"])).all()


def test_boost_within_the_bound_is_within_the_default_one() -> None:
    assert WITHIN_BOUND < FederationConfig.norm_bound < BOOST


def test_noise_is_as_long_as_an_honest_update_and_unlike_it() -> None:
    attacked = faults("noise").delta(DELTA)
    assert norms(attacked) == pytest.approx(norms(DELTA), rel=1e-5)
    assert {array.dtype for array in attacked.values()} == {np.dtype(np.float32)}
    assert float(np.linalg.norm(subtract(attacked, DELTA)["heads.image.weight"])) > 1


def test_nan_is_in_whatever_can_hold_it_of_the_message_and_leaves_names_types_and_shapes() -> None:
    message: dict[str, NDArray[Any]] = {
        "fp32": DELTA["heads.image.weight"],
        "fp16": np.zeros(3, np.float16),
        "int8": np.ones((2, 2), np.int8),
    }
    attacked = faults("nan").sent(message)
    assert {name: (array.dtype, array.shape) for name, array in attacked.items()} == {
        name: (array.dtype, array.shape) for name, array in message.items()
    }
    assert np.isnan(attacked["fp32"]).all()
    assert np.isnan(attacked["fp16"]).all()
    np.testing.assert_array_equal(attacked["int8"], message["int8"])
    assert faults("nan").delta(DELTA) is DELTA


def test_label_swap_gives_pictures_the_captions_of_others_and_sends_what_it_learns_from_them() -> None:
    honest, one = products(), faults("label_swap")
    swapped = one.products(honest)
    assert sorted(swapped.names) == sorted(honest.names)
    assert (swapped.names != honest.names).mean() > 0.5
    assert swapped.templates is not None
    np.testing.assert_array_equal(swapped.templates, swapped.names + 100)
    np.testing.assert_array_equal(swapped.ids, honest.ids)
    assert one.delta(DELTA) is DELTA


def test_labels_are_swapped_where_there_are_no_templates() -> None:
    bare = ProductFeatures(np.arange(3), ("a", "b", "c"), np.arange(3), (), Activations([]))
    assert swap_labels(bare, np.random.default_rng(0)).templates is None


@pytest.mark.parametrize("attack", get_args(Attack))
def test_honest_clients_do_nothing_wrong(attack: Attack) -> None:
    honest, held = faults(attack, client="aurora"), products()
    assert honest.delta(DELTA) is DELTA
    assert honest.sent(DELTA) is DELTA
    assert honest.products(held) is held


def test_without_faults_nobody_fails() -> None:
    one = Faults(NO_FAULTS, "aurora", 1)
    one.crash_before_training()
    one.crash_after_training()
    assert one.attack is None


def test_attack_is_the_same_when_repeated_and_another_in_another_round_or_under_another_seed() -> None:
    first = faults("noise").delta(DELTA)["heads.image.weight"]
    np.testing.assert_array_equal(first, faults("noise").delta(DELTA)["heads.image.weight"])
    for other in (faults("noise", round_number=2), faults("noise", seed=1)):
        assert not np.array_equal(first, other.delta(DELTA)["heads.image.weight"])


def test_the_share_that_drops_out_is_as_asked_half_of_it_after_the_work_is_done() -> None:
    before, after = crashes(0.4)
    assert not before & after
    assert len(before) == pytest.approx(40, abs=18)
    assert len(after) == pytest.approx(40, abs=18)
    assert crashes(0.4) == (before, after)


def test_round_that_is_tried_again_loses_other_clients() -> None:
    assert crashes(0.4, attempt=2) != crashes(0.4, attempt=1)


@pytest.mark.parametrize("place", [{"client_name": "aurora", "client_bucket": "client-aurora"}, {}])
def test_client_that_is_not_simulated_refuses_to_misbehave(place: dict[str, str]) -> None:
    settings = Settings(_env_file=None, simulation_faults=SimulationFaults(attackers=("aurora",)), **place)  # type: ignore[arg-type]
    with pytest.raises(ClientMisconfigured, match="only simulated clients may"):
        open_dataset(settings, partition=0)


def test_client_with_a_bucket_refuses_even_beside_a_simulation(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        simulation_dir=tmp_path,
        simulation_faults=SimulationFaults(dropout=0.1),
        client_name="aurora",
        client_bucket="client-aurora",
    )
    with pytest.raises(ClientMisconfigured):
        open_dataset(settings, partition=0)


def test_every_attack_is_explained() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/reference/simulation.md").read_text()
    assert [attack for attack in get_args(Attack) if f"| `{attack}` |" not in text] == []
