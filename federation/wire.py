"""Named tensors in a Flower message, and the checks that a stranger's tensors pass before they are looked at."""

from __future__ import annotations

import io

import numpy as np
from flwr.app import Array, ArrayRecord

from federation.errors import UpdateRejected
from federation.tensors import Tensor32, Tensors

__all__ = ["ArrayRecord", "from_record", "to_record"]
HEADER_BYTES = 1024
"""What NumPy's file header may take beyond the values."""


def to_record(tensors: Tensors) -> ArrayRecord:
    """Pack for a message."""
    return ArrayRecord({name: Array(np.asarray(array, order="C")) for name, array in tensors.items()})


def from_record(record: ArrayRecord, *, like: Tensors) -> Tensors:
    """Unpack, and insist on exactly the names, shapes and float32 of ``like``.

    Raises:
        UpdateRejected: saying which tensor is wrong, and how. Nothing is decoded before its size is known to be right.
    """
    if set(record) != set(like):
        raise UpdateRejected(f"Tensors are {sorted(record)}, expected {sorted(like)}.")
    return {name: _decode(name, record[name], expected) for name, expected in like.items()}


def _decode(name: str, array: Array, expected: Tensor32) -> Tensor32:
    if array.dtype != "float32" or tuple(array.shape) != expected.shape:
        raise UpdateRejected(f"Tensor {name} is {array.dtype} {tuple(array.shape)}, expected float32 {expected.shape}.")
    if len(array.data) > expected.nbytes + HEADER_BYTES:
        raise UpdateRejected(f"Tensor {name} takes {len(array.data)} bytes, expected {expected.nbytes}.")
    try:
        found = _read(array.data)
    except (ValueError, EOFError, TypeError) as error:
        raise UpdateRejected(f"Tensor {name} cannot be decoded: {error}.") from None
    if found.dtype != np.float32 or found.shape != expected.shape:
        raise UpdateRejected(f"Tensor {name} holds {found.dtype} {found.shape}, expected float32 {expected.shape}.")
    return found


def _read(data: bytes) -> Tensor32:
    """Read NumPy's own format without trusting its header: `numpy.load` would allocate whatever that promises."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("unexpected version of the format")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=HEADER_BYTES)
    if is_fortran and len(shape) > 1:
        raise ValueError("columns come first")
    if dtype != np.float32:
        raise ValueError(f"values are {dtype}")
    # frombuffer views the message's own bytes and fails when they are fewer than the shape needs.
    return np.frombuffer(data, np.float32, offset=stream.tell()).reshape(shape).copy()
