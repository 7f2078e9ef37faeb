from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.config import ENCODINGS
from federation.error_feedback import compress
from federation.errors import ShapeError, UpdateRejected
from federation.tensors import Tensors, add, size_bytes
from federation.wire import BLOCK, from_record, record_bytes, to_record, unpack
from tests.models import tiny_state

LOSSY = {"fp16": 1e-3, "int8": 1 / 200}
"""Largest error by encoding, as a share of a row's largest value."""


@pytest.fixture
def heads() -> Tensors:
    return tiny_state()


def drawn(seed: int, scale: float = 1e-3) -> Tensors:
    generator = np.random.default_rng(seed)
    shapes = {"matrix": (7, 33), "kernel": (4, 3, 5, 5), "bias": (9,), "log_scale": ()}
    return {name: (scale * generator.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def test_tensors_survive_the_wire_bit_by_bit_scalars_too(heads: Tensors) -> None:
    back = from_record(to_record(heads), like=heads)
    assert back.keys() == heads.keys()
    for name, array in heads.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].shape == array.shape


@pytest.mark.parametrize("encoding", LOSSY)
def test_short_encodings_are_near_row_by_row_and_exact_where_little_is_saved(encoding: str) -> None:
    tensors = drawn(0)
    tensors["matrix"][3] *= 1e3
    back = from_record(to_record(tensors, encoding=encoding), like=tensors, encoding=encoding)
    for name in ("matrix", "kernel"):
        rows, found = (a[name].reshape(len(a[name]), -1) for a in (tensors, back))
        assert (np.abs(rows - found).max(axis=1) <= LOSSY[encoding] * np.abs(rows).max(axis=1)).all()
    for name in ("bias", "log_scale"):
        np.testing.assert_array_equal(back[name], tensors[name])


def test_short_encodings_take_half_and_a_quarter(heads: Tensors) -> None:
    sizes = {encoding: record_bytes(to_record(heads, encoding=encoding)) for encoding in ENCODINGS}
    assert sizes["fp16"] < 0.55 * sizes["fp32"]
    assert sizes["int8"] < 0.35 * sizes["fp32"]
    assert sizes["fp32"] > size_bytes(heads)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_zeros_and_tiny_values_survive(encoding: str) -> None:
    tensors: Tensors = {"zeros": np.zeros((2, 3), np.float32), "tiny": np.full((2, 3), 1e-44, np.float32)}
    back = from_record(to_record(tensors, encoding=encoding), like=tensors, encoding=encoding)
    np.testing.assert_array_equal(back["zeros"], tensors["zeros"])
    assert np.isfinite(back["tiny"]).all()


def test_value_beyond_fp16_is_sent_as_its_largest() -> None:
    tensors: Tensors = {"x": np.array([[1e6, -1e6, 1.0]], np.float32)}
    back = from_record(to_record(tensors, encoding="fp16"), like=tensors, encoding="fp16")
    np.testing.assert_array_equal(back["x"], [[65504, -65504, 1]])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_never_sent(encoding: str, value: float) -> None:
    with pytest.raises(ShapeError, match="matrix"):
        to_record({"matrix": np.array([[1, value]], np.float32)}, encoding=encoding)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), encoding=st.sampled_from(list(LOSSY)), rounds=st.integers(2, 12))
def test_error_feedback_sends_in_the_end_all_that_was_learned(seed: int, encoding: str, rounds: int) -> None:
    sent: Tensors | None = None
    learned: Tensors | None = None
    residual: Tensors = {}
    for number in range(rounds):
        delta = drawn(seed + number)
        record, residual = compress(delta, residual, encoding=encoding)
        got = from_record(record, like=delta, encoding=encoding)
        sent, learned = (got, delta) if sent is None or learned is None else (add(sent, got), add(learned, delta))
    assert sent is not None
    assert learned is not None
    for name, total in learned.items():
        np.testing.assert_allclose(sent[name] + residual[name], total, atol=1e-6)
        # One round's error, however many rounds there were.
        assert np.abs(residual[name]).max(initial=0) <= 2 * LOSSY[encoding] * 5e-3


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_norm_is_that_of_the_decoded_update_and_digest_tells_updates_apart(encoding: str) -> None:
    one, other = (unpack(to_record(drawn(s), encoding=encoding), like=drawn(s), encoding=encoding) for s in (0, 1))
    plain = np.sqrt(sum((a.astype(np.float64) ** 2).sum() for a in one.decode().values()))
    assert one.norm() == pytest.approx(plain, rel=1e-6)
    again = unpack(to_record(drawn(0), encoding=encoding), like=drawn(0), encoding=encoding)
    assert one.digest() == again.digest() != other.digest()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_norm_of_poison_is_not_finite(value: float) -> None:
    poisoned = drawn(0)
    poisoned["matrix"][2, 2] = value
    record = ArrayRecord({name: Array(np.asarray(array, order="C")) for name, array in poisoned.items()})
    assert not np.isfinite(unpack(record, like=drawn(0)).norm())
    int8 = to_record(drawn(0), encoding="int8")
    int8["matrix:scale"] = Array(np.full(7, value, np.float32))
    assert not np.isfinite(unpack(int8, like=drawn(0), encoding="int8").norm())


def test_norm_is_that_of_tensors_larger_than_a_block() -> None:
    delta: Tensors = {"large": np.random.default_rng(0).standard_normal((2 * BLOCK // 1000, 1000)).astype(np.float32)}
    for encoding in ENCODINGS:
        found = unpack(to_record(delta, encoding=encoding), like=delta, encoding=encoding)
        plain = np.linalg.norm(found.decode()["large"].astype(np.float64))
        assert found.norm() == pytest.approx(plain, rel=1e-6)


def test_norm_of_huge_values_is_a_number_and_of_zeros_at_an_infinite_scale_is_none() -> None:
    huge: Tensors = {"matrix": np.full((2, 3), 1e37, np.float32)}
    assert unpack(to_record(huge), like=huge).norm() == pytest.approx(np.sqrt(6) * 1e37, rel=1e-6)
    zeros: Tensors = {"matrix": np.zeros((2, 3), np.float32)}
    record = to_record(zeros, encoding="int8")
    record["matrix:scale"] = Array(np.full(2, np.inf, np.float32))
    assert np.isnan(unpack(record, like=zeros, encoding="int8").norm())


def test_missing_or_surplus_names_are_rejected(heads: Tensors) -> None:
    fewer = {name: array for name, array in heads.items() if name != "heads.log_scale"}
    with pytest.raises(UpdateRejected, match=r"heads\.log_scale"):
        from_record(to_record(fewer), like=heads)
    more: Tensors = {**heads, "extra": np.zeros(1, np.float32)}
    with pytest.raises(UpdateRejected, match="extra"):
        from_record(to_record(more), like=heads)
    with pytest.raises(UpdateRejected, match="scale"):
        unpack(to_record(heads), like=heads, encoding="int8")


@pytest.mark.parametrize(
    "wrong",
    [np.zeros(2, np.float32), np.zeros((), np.float64), np.zeros((1, 1), np.float32), np.zeros((), np.int64)],
    ids=["shape", "float64", "rank", "integer"],
)
def test_other_shapes_and_types_are_rejected(heads: Tensors, wrong: np.ndarray) -> None:
    record = to_record(heads)
    record["heads.log_scale"] = Array(wrong)
    with pytest.raises(UpdateRejected, match=r"heads\.log_scale"):
        from_record(record, like=heads)


def test_another_encoding_than_agreed_is_rejected() -> None:
    with pytest.raises(UpdateRejected, match="matrix is float16"):
        unpack(to_record(drawn(0), encoding="fp16"), like=drawn(0))


def lying(data: bytes) -> Array:
    """An array whose declared type and shape are right, whatever its bytes are."""
    return Array(dtype="float32", shape=(), stype="numpy.ndarray", data=data)


def npy(array: np.ndarray, *, version: tuple[int, int] = (1, 0)) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    return stream.getvalue()


def promising(shape: str) -> bytes:
    """A header that promises more than follows."""
    return headed(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}")


def headed(text: str) -> bytes:
    """One value behind a header of this text; as many bytes as are expected."""
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an array",
        npy(np.zeros((), np.float64)),
        npy(np.zeros(1, np.float32)),
        npy(np.zeros((), np.float32), version=(2, 0)),
        npy(np.zeros((), np.float32))[:-1],
        npy(np.zeros((), np.float32)) + b"\0",
        bytes(5000),
        promising("(100000, 100000)"),
        promising("(2,)"),
        headed("((("),
        headed("'''"),
        headed("{'descr': '<f4', 'fortran_order': False, 'shape': (0L,), }"),
    ],
    ids=[
        "empty",
        "garbage",
        "float64",
        "shape",
        "version",
        "short",
        "long",
        "large",
        "bomb",
        "promise",
        "unclosed bracket",
        "unclosed quote",
        "python 2",
    ],
)
def test_bytes_that_lie_about_themselves_are_rejected(heads: Tensors, data: bytes) -> None:
    record: ArrayRecord = to_record(heads)
    record["heads.log_scale"] = lying(data)
    with pytest.raises(UpdateRejected, match=r"heads\.log_scale"):
        from_record(record, like=heads)


@settings(max_examples=200, deadline=None)
@given(header=st.binary(max_size=128))
def test_no_header_breaks_more_than_its_own_update(header: bytes) -> None:
    like: Tensors = {"scalar": np.zeros((), np.float32)}
    data = npy(like["scalar"])
    record = ArrayRecord({"scalar": lying(data[: 128 - len(header)] + header + data[128:])})
    with contextlib.suppress(UpdateRejected):
        assert unpack(record, like=like).tensors["scalar"].values.shape == ()
