"""The grid on which updates are added up: what is on it is bounded, and nothing wraps, with noise or without."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors import ShapeError
from federation.masking.grid import SumGrid
from federation.masking.session import MOST, threshold_of
from federation.privacy.clipping import clip
from federation.tensors import Tensors
from tests.models import tiny_config
from tests.unit.federation.masking import (
    PRIVATE,
    drawn,
    flat,
    rms,
)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), power=st.floats(-6, 5), bound=st.floats(-6, 4), count=st.integers(3, MOST))
def test_what_is_on_the_grid_is_no_longer_than_the_bound(seed: int, power: float, bound: float, count: int) -> None:
    grid = SumGrid(10.0**bound, count)
    lanes = grid.encode(drawn(seed, 10.0**power))
    length = float(np.linalg.norm(lanes.view(np.int32).astype(np.float64))) * grid.step
    assert length <= grid.bound
    assert length <= grid.longest(1, lanes.size)


@pytest.mark.parametrize(("count", "error"), [(5, 2e-9), (MOST, 6e-7)])
def test_rounding_errs_by_less_than_a_millionth_of_the_bound(count: int, error: float) -> None:
    grid, like = SumGrid(1.0, count), drawn(0)
    plain, total = np.zeros(flat(like).size), np.zeros(flat(like).size, np.uint32)
    for number in range(count):
        update = clip(drawn(number), 0.9)
        plain += flat(update)
        total += grid.encode(update)
    # In double precision: to float32 rounds in units of the sum.
    assert rms(total.view(np.int32) * grid.step - plain) < error


def test_largest_sum_does_not_wrap() -> None:
    spike: Tensors = {"x": np.array([1.0, 0.0], np.float32)}
    for sign in (1.0, -1.0):
        grid = SumGrid(2.0, MOST)
        one = grid.encode({"x": np.asarray(100 * sign * spike["x"])})
        total = np.zeros(2, np.uint32)
        for _ in range(MOST):
            total += one
        assert grid.decode(total, like=spike)["x"][0] == pytest.approx(sign * 2.0 * MOST, rel=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_gets_onto_the_grid(value: float) -> None:
    poisoned = drawn(0)
    poisoned["bias"][3] = value
    with pytest.raises(ShapeError, match="bias"):
        SumGrid(1.0, 5).encode(poisoned)


def test_noise_is_many_steps_wide_and_never_wraps() -> None:
    for noise, count in itertools.product((0.1, 1.0, 100.0), (3, 64, MOST)):
        grid = SumGrid.of(replace(PRIVATE, noise_multiplier=noise), participants=count, threshold=threshold_of(count))
        assert grid.noise_std / grid.step > 2**15
        assert count * grid.bound + 12 * grid.noise_std * math.sqrt(count) <= 2**31 * grid.step * (1 + 1e-12)


def test_no_noise_where_the_run_is_not_private() -> None:
    grid = SumGrid.of(tiny_config(mode="confidential", clip_norm=0.5), participants=5, threshold=3)
    assert (grid.bound, grid.noise_std) == (0.5, 0.0)


def test_noise_is_added_to_an_update_that_is_on_the_grid_and_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What noise covers is a shift by whole steps, no longer than the clip norm: the sensitivity is that bound."""
    grid = SumGrid.of(PRIVATE, participants=5, threshold=3)
    ones = np.ones(flat(drawn(3)).size, np.int64)
    monkeypatch.setattr("federation.masking.grid.rounded_noise", lambda size, std: ones)
    whole = grid.encode(drawn(3)).view(np.int32).astype(np.float64) - ones
    assert 0.4999 < np.linalg.norm(whole) * grid.step <= 0.5
