from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.app.message import make_message
from flwr.serverapp import strategy as flower

from federation.accumulate import StreamingMean
from federation.batches import steps_of
from federation.config import ENCODINGS
from federation.config import STRATEGIES as NAMES
from federation.errors import NothingToLearn, TooFewUpdates
from federation.strategies import STRATEGIES, Strategy, new_strategy
from federation.strategies.robust import ENVELOPE
from federation.tensors import Tensors
from federation.wire import BLOCK, EncodedUpdate, to_record, unpack
from tests.models import tiny_config

SHAPES = {"matrix": (5, 300), "kernel": (4, 3, 3, 3), "log_scale": ()}
MEANS = ("fedavg", "fednova", "fedavgm", "fedadam", "fedyogi", "fedadagrad")
ROBUST = ("fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan", "fedcosine")


def drawn(seed: int, scale: float = 1.0) -> Tensors:
    generator = np.random.default_rng(seed)
    return {name: (scale * generator.standard_normal(shape)).astype(np.float32) for name, shape in SHAPES.items()}


def update(delta: Tensors, encoding: str = "fp32") -> EncodedUpdate:
    return unpack(to_record(delta, encoding=encoding), like=delta, encoding=encoding)


def strategy(name: str, **changes: object) -> Strategy:
    return new_strategy(tiny_config(strategy=name, **changes))


def after_round(
    strategy: Strategy, state: Tensors, deltas: list[Tensors], examples: list[int] | None = None
) -> Tensors:
    strategy.begin()
    for number, delta in enumerate(deltas):
        strategy.add(update(delta), examples=examples[number] if examples else 10)
    return strategy.finish(state)


def test_every_name_of_the_config_is_a_strategy() -> None:
    assert tuple(STRATEGIES) == NAMES == (*MEANS, *ROBUST)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_streaming_mean_equals_a_reference_in_double_precision(encoding: str) -> None:
    deltas = [drawn(seed) for seed in range(20)]
    weights = [float(w) for w in np.random.default_rng(0).integers(1, 10**6, 20)]
    mean = StreamingMean()
    for delta, weight in zip(deltas, weights, strict=True):
        mean.add(update(delta, encoding), weight=weight)
    found = mean.mean()
    for name in SHAPES:
        decoded = [update(delta, encoding).decode()[name].astype(np.float64) for delta in deltas]
        exact = sum(w * d for w, d in zip(weights, decoded, strict=True)) / sum(weights)
        assert found[name].dtype == np.float32
        assert found[name].shape == SHAPES[name]
        np.testing.assert_allclose(found[name], exact, atol=1e-6)


def test_tensors_larger_than_a_block_are_added_whole() -> None:
    rows = 2 * BLOCK // 1000
    delta: Tensors = {"large": np.random.default_rng(0).standard_normal((rows, 1000)).astype(np.float32)}
    for encoding in ENCODINGS:
        mean = StreamingMean()
        for weight in (3.0, 5.0):
            mean.add(update(delta, encoding), weight=weight)
        np.testing.assert_allclose(mean.mean()["large"], update(delta, encoding).decode()["large"], rtol=1e-6)


def test_fedavg_weighs_by_products() -> None:
    state = drawn(99)
    found = after_round(strategy("fedavg"), state, [drawn(0), drawn(1)], [1, 3])
    for name in SHAPES:
        np.testing.assert_allclose(found[name], state[name] + (drawn(0)[name] + 3 * drawn(1)[name]) / 4, atol=1e-6)


def test_fednova_weighs_each_step_by_the_products_behind_it() -> None:
    """Eq. 6 of Wang et al. 2020 for plain steps; 40 products are 4 batches of 10, 12 are one and the 2 left."""
    state, (many, few) = drawn(99), (drawn(0), drawn(1))
    found = after_round(strategy("fednova", batch_size=10, local_epochs=3), state, [many, few], [40, 12])
    p, steps = (40 / 52, 12 / 52), (12, 6)
    mean_steps = p[0] * steps[0] + p[1] * steps[1]
    for name in SHAPES:
        expected = state[name] + mean_steps * (p[0] * many[name] / steps[0] + p[1] * few[name] / steps[1])
        np.testing.assert_allclose(found[name], expected, atol=1e-5)


def test_fednova_is_fedavg_where_all_make_the_same_steps() -> None:
    state, deltas = drawn(99), [drawn(0), drawn(1)]
    nova, avg = (after_round(strategy(name, batch_size=64), state, deltas, [30, 50]) for name in ("fednova", "fedavg"))
    for name in SHAPES:
        np.testing.assert_allclose(nova[name], avg[name], atol=1e-6)


@pytest.mark.parametrize(("products", "steps"), [(1, 1), (2, 3), (16, 3), (17, 3), (18, 6), (32, 6)])
def test_steps_of_a_client_are_those_that_it_makes(products: int, steps: int) -> None:
    assert steps_of(products, tiny_config(batch_size=16, local_epochs=3)) == steps


def test_momentum_remembers_earlier_rounds() -> None:
    momentum = strategy("fedavgm", server_momentum=0.5)
    state = drawn(99)
    first = after_round(momentum, state, [drawn(0)])
    second = after_round(momentum, first, [drawn(1)])
    for name in SHAPES:
        np.testing.assert_allclose(second[name], first[name] + 0.5 * drawn(0)[name] + drawn(1)[name], atol=1e-5)


@pytest.mark.parametrize("name", ["fedadam", "fedyogi", "fedadagrad"])
def test_adaptive_optimisers_follow_the_paper(name: str) -> None:
    """Algorithm 2 of Reddi et al. 2021, written out in double precision over four rounds."""
    eta, beta, beta2, tau = 0.05, 0.9, 0.99, 1e-2
    ours = strategy(name, server_learning_rate=eta, server_momentum=beta, server_beta2=beta2, server_tau=tau)
    state = drawn(99)
    x = state["matrix"].astype(np.float64)
    m, v = np.zeros_like(x), np.full_like(x, tau**2)
    for seed in range(4):
        state = after_round(ours, state, [drawn(seed, 0.1)])
        delta = drawn(seed, 0.1)["matrix"].astype(np.float64)
        m = beta * m + (1 - beta) * delta
        v = {
            "fedadam": beta2 * v + (1 - beta2) * delta**2,
            "fedyogi": v - (1 - beta2) * delta**2 * np.sign(v - delta**2),
            "fedadagrad": v + delta**2,
        }[name]
        x = x + eta * m / (np.sqrt(v) + tau)
    np.testing.assert_allclose(state["matrix"], x, atol=1e-5)


@pytest.mark.parametrize("name", MEANS)
def test_optimiser_that_was_stored_goes_on_bit_for_bit(name: str) -> None:
    undisturbed, stopped = strategy(name), strategy(name)
    state = drawn(99)
    for seed in range(3):
        state = after_round(undisturbed, state, [drawn(seed)])
    resumed_state = drawn(99)
    for seed in range(3):
        resumed_state = after_round(stopped, resumed_state, [drawn(seed)])
        kept = {key: array.copy() for key, array in stopped.state_dict().items()}
        stopped = strategy(name)
        stopped.load_state_dict(kept)
    for tensor in SHAPES:
        np.testing.assert_array_equal(state[tensor], resumed_state[tensor])


def stacked(deltas: list[Tensors], name: str) -> np.ndarray:
    return np.stack([delta[name] for delta in deltas]).astype(np.float64)


def test_median_and_trimmed_mean_are_coordinate_wise() -> None:
    deltas, zero = [drawn(seed) for seed in range(7)], {n: np.zeros(s, np.float32) for n, s in SHAPES.items()}
    median = after_round(strategy("fedmedian", attackers=2), zero, deltas)
    trimmed = after_round(strategy("fedtrimmedavg", attackers=2), zero, deltas)
    for name in SHAPES:
        values = np.sort(stacked(deltas, name), axis=0)
        np.testing.assert_allclose(median[name], values[3], atol=1e-6)
        np.testing.assert_allclose(trimmed[name], values[2:5].mean(axis=0), atol=1e-6)


def krum_scores(deltas: list[Tensors], attackers: int) -> np.ndarray:
    flat = np.stack([np.concatenate([d[n].ravel() for n in SHAPES]) for d in deltas]).astype(np.float64)
    distances = ((flat[:, None] - flat[None, :]) ** 2).sum(axis=2)
    return np.array(
        [np.sort(np.delete(row, i))[: len(deltas) - attackers - 2].sum() for i, row in enumerate(distances)]
    )


@pytest.mark.parametrize("name", ["krum", "multikrum"])
def test_krum_takes_those_that_lie_closest_to_the_others(name: str) -> None:
    deltas = [drawn(seed, 0.1) for seed in range(6)] + [drawn(50, 5.0)]
    zero = {n: np.zeros(s, np.float32) for n, s in SHAPES.items()}
    found = after_round(strategy(name, attackers=1), zero, deltas)
    order = np.argsort(krum_scores(deltas, 1))
    chosen = order[: 1 if name == "krum" else 6]
    assert 6 not in chosen
    for tensor in SHAPES:
        np.testing.assert_allclose(found[tensor], stacked(deltas, tensor)[chosen].mean(axis=0), atol=1e-5)


def towards(direction: Tensors, seed: int, length: float) -> Tensors:
    """About that way, and as long as said."""
    noise = drawn(seed, 0.5)
    found = {name: direction[name] + noise[name] for name in SHAPES}
    norm = np.sqrt(sum(float((array**2).sum()) for array in found.values()))
    return {name: (array * np.float32(length / norm)).astype(np.float32) for name, array in found.items()}


def test_choice_by_direction_leaves_out_the_sign_flip_where_krum_leaves_out_the_longest() -> None:
    way, zero = drawn(1), {n: np.zeros(s, np.float32) for n, s in SHAPES.items()}
    honest = [towards(way, seed, 10.0) for seed in range(10, 15)] + [towards(way, 15, 40.0)]
    flipped = {name: -array for name, array in towards(way, 16, 10.0).items()}
    by_direction = after_round(strategy("fedcosine", attackers=1), zero, [flipped, *honest])
    clipped = [*honest[:5], {name: array / np.float32(4) for name, array in honest[5].items()}]
    for tensor in SHAPES:
        np.testing.assert_allclose(by_direction[tensor], stacked(clipped, tensor).mean(axis=0), atol=1e-5)
    by_distance = after_round(strategy("multikrum", attackers=1), zero, [flipped, *honest])
    for tensor in SHAPES:
        np.testing.assert_allclose(by_distance[tensor], stacked([flipped, *honest[:5]], tensor).mean(axis=0), atol=1e-5)


def test_choice_by_direction_leaves_out_nobody_where_all_agree_or_none_does() -> None:
    zero = {n: np.zeros(s, np.float32) for n, s in SHAPES.items()}
    for deltas in ([towards(drawn(1), seed, 10.0) for seed in range(7)], [drawn(seed, 1.0) for seed in range(7)]):
        found = after_round(strategy("fedcosine", attackers=2), zero, deltas)
        norms = np.linalg.norm(np.stack([np.concatenate([d[n].ravel() for n in SHAPES]) for d in deltas]), axis=1)
        shares = np.minimum(1, np.median(norms) / norms) / len(deltas)
        for tensor in SHAPES:
            expected = np.tensordot(shares, stacked(deltas, tensor), axes=1)
            np.testing.assert_allclose(found[tensor], expected, atol=1e-5)


def test_choice_by_direction_bears_updates_that_are_nothing() -> None:
    state, nothing = drawn(99), {n: np.zeros(s, np.float32) for n, s in SHAPES.items()}
    found = after_round(strategy("fedcosine", attackers=1), state, [nothing] * 5)
    for tensor in SHAPES:
        np.testing.assert_array_equal(found[tensor], state[tensor])


@pytest.mark.parametrize("name", ROBUST)
def test_one_attacker_of_seven_cannot_move_the_state_far(name: str) -> None:
    honest = [drawn(1, 1.0)] * 6
    state = after_round(strategy(name, attackers=1), drawn(99), [*honest[:3], drawn(7, 1e4), *honest[3:]])
    for tensor in SHAPES:
        np.testing.assert_allclose(state[tensor], drawn(99)[tensor] + drawn(1)[tensor], atol=1e-4)
        assert state[tensor].dtype == np.float32


@pytest.mark.parametrize(
    ("name", "needed"), [("fedmedian", 3), ("fedtrimmedavg", 3), ("krum", 5), ("bulyan", 7), ("fedcosine", 4)]
)
def test_robust_strategy_says_how_many_updates_it_needs(name: str, needed: int) -> None:
    with pytest.raises(TooFewUpdates, match=f"at least {needed}"):
        after_round(strategy(name, attackers=1), drawn(0), [drawn(i) for i in range(needed - 1)])
    after_round(strategy(name, attackers=1), drawn(0), [drawn(i) for i in range(needed)])


@pytest.mark.parametrize("name", NAMES)
def test_round_without_any_update_learns_nothing(name: str) -> None:
    with pytest.raises(NothingToLearn):
        after_round(strategy(name), drawn(0), [])


@pytest.mark.parametrize("name", NAMES)
def test_updates_of_a_round_that_was_given_up_do_not_count_in_the_next(name: str) -> None:
    chosen = strategy(name)
    chosen.begin()
    chosen.add(update(drawn(7, 100.0)), examples=5)
    found = after_round(chosen, drawn(99), [drawn(1)] * 7)
    expected = after_round(strategy(name), drawn(99), [drawn(1)] * 7)
    for tensor in SHAPES:
        np.testing.assert_array_equal(found[tensor], expected[tensor])


def test_momentum_is_flower_s_own() -> None:
    """Flower's FedAvgM over whole states against ours over deltas, without bias in either."""
    state = drawn(99)
    theirs = flower.FedAvgM(server_learning_rate=1.0, server_momentum=0.9)
    theirs.current_arrays = ArrayRecord({n: _array(a) for n, a in state.items()})
    ours = strategy("fedavgm", server_momentum=0.9)
    for seed in range(3):
        delta = drawn(seed, 0.1)
        moved = {name: state[name] + delta[name] for name in state}
        arrays, _ = theirs.aggregate_train(1, [_reply(moved)])
        assert arrays is not None
        state = after_round(ours, state, [delta])
        theirs.current_arrays = arrays
        for name in SHAPES:
            np.testing.assert_allclose(arrays[name].numpy(), state[name], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("fedadam", flower.FedAdam(eta=1.0, beta_1=0.9, beta_2=0.99, tau=0.01)),
        ("fedyogi", flower.FedYogi(eta=0.05, beta_1=0.9, beta_2=0.99, tau=0.01)),
        ("fedadagrad", flower.FedAdagrad(eta=0.05, tau=0.01)),
    ],
)
def test_adaptive_optimisers_are_flower_s_own_but_for_the_start_and_the_bias_correction(
    name: str, theirs: flower.FedAdam | flower.FedYogi | flower.FedAdagrad
) -> None:
    ours = strategy(
        name, server_learning_rate=0.05, server_momentum=theirs.beta_1, server_beta2=0.99, server_tau=theirs.tau
    )
    state = drawn(99)
    theirs.v_t = {tensor: np.full_like(array, theirs.tau**2) for tensor, array in state.items()}
    for seed in range(1, 4):
        if name == "fedadam":
            theirs.eta = 0.05 * (1 - 0.9 ** (seed + 1)) / np.sqrt(1 - 0.99 ** (seed + 1))
        theirs.current_arrays = state
        moved = {tensor: state[tensor] + delta for tensor, delta in drawn(seed, 0.1).items()}
        arrays, _ = theirs.aggregate_train(seed, [_reply(moved)])
        assert arrays is not None
        state = after_round(ours, state, [drawn(seed, 0.1)])
        for tensor in SHAPES:
            np.testing.assert_allclose(arrays[tensor].numpy(), state[tensor], atol=1e-4)


def test_flower_s_log_is_as_loud_after_a_robust_round_as_before() -> None:
    logger = logging.getLogger("flwr")
    before = logger.level
    after_round(strategy("fedmedian"), drawn(99), [drawn(seed) for seed in range(3)])
    assert logger.level == before


def _array(array: np.ndarray) -> Array:
    return Array(np.asarray(array, order="C"))


def _reply(state: Tensors) -> Message:
    content = RecordDict({"arrays": to_record(state), "metrics": MetricRecord({"num-examples": 1})})
    return make_message(ENVELOPE, content)


def test_server_learning_rate_scales_the_step_of_every_strategy() -> None:
    for name in ("fedavg", "fedmedian"):
        half = new_strategy(dataclasses.replace(tiny_config(strategy=name), server_learning_rate=0.5))
        found = after_round(half, drawn(99), [drawn(1)] * 3)
        np.testing.assert_allclose(found["matrix"], drawn(99)["matrix"] + 0.5 * drawn(1)["matrix"], atol=1e-6)
