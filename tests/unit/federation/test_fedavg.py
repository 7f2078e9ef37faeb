from __future__ import annotations

import numpy as np
import pytest

from federation.errors import FederationConfigError, NothingToLearn
from federation.strategies import new_aggregation
from federation.tensors import Tensors


def delta(seed: int) -> Tensors:
    generator = np.random.default_rng(seed)
    return {
        "w": generator.standard_normal((3, 4)).astype(np.float32),
        "s": np.array(generator.standard_normal(), np.float32),
    }


def test_streamed_mean_equals_the_weighted_mean_of_all() -> None:
    deltas, weights = [delta(i) for i in range(5)], [3, 1, 10, 2, 7]
    aggregation = new_aggregation("fedavg")
    for one, weight in zip(deltas, weights, strict=True):
        aggregation.add(one, examples=weight)
    step = aggregation.step()
    for name in ("w", "s"):
        expected = np.average([d[name] for d in deltas], axis=0, weights=weights)
        np.testing.assert_allclose(step[name], expected, rtol=1e-5)


def test_step_keeps_float32_and_shape_even_of_scalars() -> None:
    aggregation = new_aggregation("fedavg")
    aggregation.add(delta(0), examples=2)
    aggregation.add(delta(1), examples=5)
    step = aggregation.step()
    assert {name: (a.dtype, a.shape) for name, a in step.items()} == {
        "w": (np.dtype(np.float32), (3, 4)),
        "s": (np.dtype(np.float32), ()),
    }


def test_adding_leaves_the_update_itself_unchanged() -> None:
    one = delta(0)
    before = {name: array.copy() for name, array in one.items()}
    aggregation = new_aggregation("fedavg")
    aggregation.add(one, examples=4)
    aggregation.add(one, examples=4)
    for name, array in one.items():
        np.testing.assert_array_equal(array, before[name])


def test_round_without_any_update_has_no_step() -> None:
    with pytest.raises(NothingToLearn):
        new_aggregation("fedavg").step()


def test_unknown_strategy_names_the_known_ones() -> None:
    with pytest.raises(FederationConfigError, match="fedavg"):
        new_aggregation("fedmagic")
