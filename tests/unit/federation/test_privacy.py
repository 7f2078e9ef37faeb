"""What leaves a client is no longer than it declared, and the noise is as wide as the accountant believes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.accumulate import StreamingMean
from federation.config import ENCODINGS, PRIVATE_STRATEGIES
from federation.error_feedback import compress
from federation.errors import ShapeError
from federation.privacy.clipping import SLACK, clip, clipped_record, norm
from federation.privacy.noise import GaussianNoise
from federation.strategies import new_strategy
from federation.tensors import Tensors
from federation.wire import EncodedUpdate, from_record, to_record, unpack
from tests.models import tiny_config

SHAPES = {"matrix": (7, 33), "kernel": (4, 3, 5, 5), "bias": (9,), "log_scale": ()}
PRIVATE = tiny_config(privacy="client-level")
SCALES = st.floats(-8, 6).map(lambda power: 10.0**power)


def drawn(seed: int, scale: float = 1.0) -> Tensors:
    """Heavy tails: a few values decide an int8 row's scale, and all others are rounded."""
    generator = np.random.default_rng(seed)
    return {name: (scale * generator.standard_t(2, shape)).astype(np.float32) for name, shape in SHAPES.items()}


def update(delta: Tensors) -> EncodedUpdate:
    return unpack(to_record(delta), like=delta)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**31), scale=SCALES, bound=SCALES, encoding=st.sampled_from(ENCODINGS))
def test_decoded_update_is_never_longer_than_the_bound(seed: int, scale: float, bound: float, encoding: str) -> None:
    wanted = drawn(seed, scale)
    record, clipped = clipped_record(wanted, bound=bound, encoding=encoding)
    assert norm(from_record(record, like=wanted, encoding=encoding)) <= bound
    # And by the coordinator's own measure, which refuses what is longer.
    assert unpack(record, like=wanted, encoding=encoding).norm() <= bound
    assert norm(clipped) <= bound


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_clipping_alone_would_not_hold_after_rounding(encoding: str) -> None:
    """Guards the test above: among these updates there are some that rounding makes longer."""
    longer = 0
    for seed in range(50):
        clipped = clip(drawn(seed), 1.0)
        decoded = from_record(to_record(clipped, encoding=encoding), like=clipped, encoding=encoding)
        longer += norm(decoded) > 1.0
    assert longer or encoding == "fp32"


def test_direction_and_short_updates_stay() -> None:
    long, short = drawn(1), clip(drawn(2), 0.5)
    found = clip(long, 1.0)
    factor = found["matrix"][0, 0] / long["matrix"][0, 0]
    for name, array in long.items():
        np.testing.assert_allclose(found[name], factor * array, rtol=1e-6)
    assert norm(found) == pytest.approx(1.0, rel=1e-6)
    assert clip(short, 1.0) is short
    record, _ = clipped_record(long, bound=1.0, encoding="fp32")
    assert unpack(record, like=long).norm() == pytest.approx(1 - 2 * SLACK, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), encoding=st.sampled_from(ENCODINGS), scale=st.sampled_from([0.01, 1.0, 100.0]))
def test_error_feedback_never_lifts_an_update_over_the_bound(seed: int, encoding: str, scale: float) -> None:
    residual: Tensors = {}
    for number in range(8):
        delta = drawn(seed + number, scale)
        record, residual = compress(delta, residual, encoding=encoding, bound=1.0)
        decoded = from_record(record, like=delta, encoding=encoding)
        assert norm(decoded) <= 1.0
        # What clipping took off is not carried on: it would grow with every round.
        assert norm(residual) <= 0.1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_clipped_into_something_that_is(value: float) -> None:
    poisoned = drawn(0)
    poisoned["bias"][3] = value
    with pytest.raises(ShapeError), np.errstate(invalid="ignore"):
        compress(poisoned, {}, encoding="fp32", bound=1.0)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_one_client_moves_the_sum_by_no_more_than_the_bound(encoding: str) -> None:
    like = drawn(0)
    sent = [compress(drawn(seed, 10.0), {}, encoding=encoding, bound=0.3)[0] for seed in range(9)]
    nothing = to_record({name: np.zeros_like(array) for name, array in like.items()}, encoding=encoding)

    def total(first: object) -> Tensors:
        mean = StreamingMean()
        for record in [first, *sent[1:]]:
            mean.add(unpack(record, like=like, encoding=encoding), weight=1.0)  # type: ignore[arg-type]
        return {name: array * 9 for name, array in mean.mean().items()}

    with_it, without = total(sent[0]), total(nothing)
    moved = {name: with_it[name] - without[name] for name in like}
    assert 0.2 < norm(moved) <= 0.3


def test_noise_is_normal_and_as_wide_as_said() -> None:
    tensors: Tensors = {"large": np.zeros((1500, 1000), np.float32), "log_scale": np.zeros((), np.float32)}
    GaussianNoise(2.5).add_to(tensors, divided_by=5)
    values = np.sort(tensors["large"].ravel() / 0.5)
    n = values.size
    assert values.mean() == pytest.approx(0, abs=5 / math.sqrt(n))
    assert values.std() == pytest.approx(1, abs=5 / math.sqrt(2 * n))
    # Kolmogorov-Smirnov, at one in a million; every hundredth value of the distribution function is enough.
    picked = slice(0, n, 100)
    expected = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in values[picked]])
    assert np.abs(np.arange(n)[picked] / n - expected).max() < 2.7 / math.sqrt(n)
    assert tensors["log_scale"] != 0


def test_noise_is_another_each_time_whatever_the_seed() -> None:
    first: Tensors = {"x": np.zeros(100, np.float32)}
    second: Tensors = {"x": np.zeros(100, np.float32)}
    noise = GaussianNoise.of(PRIVATE)
    assert noise is not None
    for tensors in (first, second):
        np.random.default_rng(PRIVATE.seed)
        noise.add_to(tensors)
    assert not (first["x"] == second["x"]).any()
    assert abs(np.corrcoef(first["x"], second["x"])[0, 1]) < 0.6


def test_noise_is_never_added_to_a_copy() -> None:
    with pytest.raises(ValueError, match="copy"):
        GaussianNoise(1.0).add_to({"transposed": np.zeros((3, 4), np.float32).T})


def test_shares_of_clients_add_up_to_the_noise_of_one_place() -> None:
    clients, together = 7, np.zeros(200_000)
    for _ in range(clients):
        share: Tensors = {"x": np.zeros(together.size, np.float32)}
        GaussianNoise(3.0 / math.sqrt(clients)).add_to(share)
        together += share["x"]
    assert together.std() == pytest.approx(3.0, rel=0.01)


def test_run_without_privacy_gets_no_noise() -> None:
    assert GaussianNoise.of(tiny_config(noise_multiplier=5.0)) is None


def test_private_mean_counts_all_alike_and_its_noise_is_that_of_the_sum_over_the_clients() -> None:
    config = dataclasses.replace(PRIVATE, noise_multiplier=2.0, clip_norm=0.25)
    state: Tensors = {"x": np.full((400, 500), 3.0, np.float32)}
    strategy = new_strategy(config)
    strategy.begin()
    for value, examples in ((0.1, 1), (0.2, 1000), (0.6, 7), (0.3, 20)):
        strategy.add(update({"x": np.full((400, 500), value, np.float32)}), examples=examples)
    moved = strategy.finish(state)["x"] - state["x"]
    assert moved.mean() == pytest.approx(0.3, abs=0.002)
    assert moved.std() == pytest.approx(2.0 * 0.25 / 4, rel=0.01)


@pytest.mark.parametrize("name", PRIVATE_STRATEGIES)
def test_optimisers_see_the_noisy_mean_only(name: str) -> None:
    """Two rounds without any update but zeros: whatever moves is noise, in the state and in what is remembered."""
    config = dataclasses.replace(PRIVATE, strategy=name)
    state: Tensors = {"x": np.zeros((20, 30), np.float32)}
    strategy = new_strategy(config)
    for _ in range(2):
        strategy.begin()
        for _ in range(3):
            strategy.add(update({"x": np.zeros((20, 30), np.float32)}), examples=5)
        state = strategy.finish(state)
    assert np.unique(state["x"]).size > 500
    assert all(np.unique(kept).size > 500 for kept in strategy.state_dict().values())
