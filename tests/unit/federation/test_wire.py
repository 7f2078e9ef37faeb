from __future__ import annotations

import io

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord

from federation.errors import UpdateRejected
from federation.tensors import Tensors
from federation.wire import from_record, to_record
from tests.models import tiny_state


@pytest.fixture
def heads() -> Tensors:
    return tiny_state()


def test_tensors_survive_the_wire_bit_by_bit_scalars_too(heads: Tensors) -> None:
    back = from_record(to_record(heads), like=heads)
    assert back.keys() == heads.keys()
    for name, array in heads.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].shape == array.shape


def test_missing_or_surplus_names_are_rejected(heads: Tensors) -> None:
    fewer = {name: array for name, array in heads.items() if name != "heads.log_scale"}
    with pytest.raises(UpdateRejected, match=r"heads\.log_scale"):
        from_record(to_record(fewer), like=heads)
    more: Tensors = {**heads, "extra": np.zeros(1, np.float32)}
    with pytest.raises(UpdateRejected, match="extra"):
        from_record(to_record(more), like=heads)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((1,), np.float32), np.zeros((), np.float64), np.zeros((), np.int32), np.zeros((1, 1), np.float32)],
)
def test_other_shapes_and_types_are_rejected(
    heads: Tensors, wrong: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    record = to_record(heads)
    record["heads.log_scale"] = Array(wrong)
    with pytest.raises(UpdateRejected, match=r"heads\.log_scale"):
        from_record(record, like=heads)


def lying(data: bytes) -> Array:
    """An array that declares what is expected and carries something else."""
    return Array(dtype="float32", shape=(), stype="numpy.ndarray", data=data)


def saved(
    array: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | np.ndarray[tuple[int, ...], np.dtype[np.object_]],
) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def header_only(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not numpy",
        saved(np.zeros((), np.float64)),
        saved(np.array([{"a": 1}], dtype=object)),
        header_only((1 << 40,)),
        header_only(()),
        saved(np.zeros(4096, np.float64)),
    ],
    ids=["empty", "noise", "float64", "pickle", "promises-4-TB", "no-values", "too-long"],
)
def test_bytes_that_are_not_what_they_declare_are_rejected(heads: Tensors, data: bytes) -> None:
    record: ArrayRecord = to_record(heads)
    record["heads.log_scale"] = lying(data)
    with pytest.raises(UpdateRejected, match=r"heads\.log_scale"):
        from_record(record, like=heads)
