from __future__ import annotations

import io
import math

import numpy as np
from flwr.app import MetricRecord, RecordDict

from benchmarks.aggregation import aggregated
from benchmarks.replies import drawn, error, npy, pulled, vit_b_32
from federation.tensors import Tensors
from federation.wire import to_record, unpack

LIKE: Tensors = {"matrix": np.zeros((300, 7), np.float32), "scalar": np.zeros((), np.float32)}


def test_model_has_the_parameters_of_vit_b_32() -> None:
    assert sum(math.prod(shape) for shape in vit_b_32().values()) == 151_277_313


def test_file_that_repeats_values_is_one_that_numpy_reads() -> None:
    values = np.arange(64, dtype=np.float32)
    found = np.load(io.BytesIO(npy(values, (50, 3))))
    np.testing.assert_array_equal(found.reshape(-1), np.resize(values, 150))


def test_replies_that_are_pulled_are_updates_and_differ() -> None:
    first, second = (unpack(record, like=LIKE) for record in pulled(LIKE, 2))
    assert np.isfinite(first.norm())
    assert first.digest() != second.digest()


def test_error_is_the_distance_from_the_mean_in_double_precision() -> None:
    replies = [
        RecordDict({"arrays": to_record(drawn(LIKE, seed)), "metrics": MetricRecord({"num-examples": seed + 1})})
        for seed in range(3)
    ]
    found = aggregated(replies, LIKE)
    assert error(found, replies) < 1e-6
    found["matrix"][7, 3] += 0.5
    assert abs(error(found, replies) - 0.5) < 1e-6
