"""Named tensors in a Flower message, and the checks that a stranger's tensors pass before they are looked at.

Three encodings: ``fp32``; ``fp16``; and ``int8`` with one scale a channel, which is a second array ``NAME:scale``.
What has fewer than two dimensions travels as fp32 under each of them: it is small, and its scale is not its channels'.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray

from federation.errors import ShapeError, UpdateRejected
from federation.masking.masks import Lanes
from federation.tensors import Tensor32, Tensors

__all__ = [
    "ArrayRecord", "EncodedTensor", "EncodedUpdate", "from_record", "lanes_record", "record_bytes", "to_record",
    "unpack", "unpack_lanes",
]  # fmt: skip
SCALE = ":scale"
LANES = "masked"
"""All tensors of an update as one, in a confidential round."""
INT8_MAX = 127
FP16_MAX = 65504.0
BLOCK = 1 << 20
"""Values that are decoded at a time where no decoded copy of the whole is wanted."""


@dataclass(frozen=True)
class EncodedTensor:
    """One tensor as it travels; a view on the message's own bytes."""

    values: NDArray[Any]
    """fp32, fp16 or int8, in the tensor's shape."""
    scales: Tensor32 | None = None
    """(rows,) of an int8 tensor: ``values[i] * scales[i]`` is row i."""

    def decode(self) -> Tensor32:
        """float32, a copy unless it travelled so."""
        if self.scales is None:
            return self.values.astype(np.float32, copy=False)
        rows = self.values.reshape(len(self.scales), -1) * self.scales[:, None]
        return rows.reshape(self.values.shape)

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[slice, NDArray[Any], Tensor32 | None]]:
        """Whole rows, about ``size`` values at a time: which rows, their values as (rows, width), and their scales.

        What has fewer than two dimensions is one row.
        """
        rows = self.values.reshape(len(self.values) if self.values.ndim > 1 else 1, -1)
        step = max(1, size // max(1, rows.shape[1]))
        for start in range(0, len(rows), step):
            place = slice(start, start + step)
            yield place, rows[place], None if self.scales is None else self.scales[place]


@dataclass(frozen=True)
class EncodedUpdate:
    """A client's delta as it travelled: right names, shapes and types, but not yet looked at."""

    tensors: Mapping[str, EncodedTensor]

    def norm(self) -> float:
        """L2 norm of the decoded update, to 1e-6; not finite where a value or a scale is not. Memory: one block."""
        squares = (
            _squares(values, scales) for tensor in self.tensors.values() for _, values, scales in tensor.blocks()
        )
        return math.sqrt(sum(squares))

    def decode(self) -> Tensors:
        """All tensors as float32."""
        return {name: tensor.decode() for name, tensor in self.tensors.items()}

    def digest(self) -> str:
        """Hex SHA-256 over names, types, shapes and values: equal only for identical updates."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name}\0{tensor.values.dtype}\0{tensor.values.shape}\0".encode())
            for array in (tensor.values, tensor.scales):
                if array is not None:
                    digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def to_record(tensors: Tensors, *, encoding: str = "fp32") -> ArrayRecord:
    """Pack for a message. Beyond fp16's range a value is sent as the largest that fits.

    Raises:
        ShapeError: a value is not finite; what would be sent means nothing.
    """
    record = ArrayRecord()
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise ShapeError(
                f"Tensor {name} holds NaN or infinity.", hint="Training diverged: lower the learning rate."
            )
        for part, values in _encoded(name, array, encoding).items():
            record[part] = Array(np.asarray(values, order="C"))
    return record


def unpack(record: ArrayRecord, *, like: Tensors, encoding: str = "fp32") -> EncodedUpdate:
    """Take a stranger's tensors for what they should be: the names and shapes of ``like``, in this encoding.

    Nothing is decoded or copied, and nothing is read before its size is known to be right.

    Raises:
        UpdateRejected: saying which tensor is wrong, and how.
    """
    expected = {part: described for name, array in like.items() for part, described in _expected(name, array, encoding)}
    if set(record) != set(expected):
        differing = sorted(set(record) ^ set(expected))
        raise UpdateRejected(f"Tensors are not the expected ones; missing or surplus: {_few(differing)}.")
    found = {part: _view(part, record[part], *described) for part, described in expected.items()}
    return EncodedUpdate({name: EncodedTensor(found[name], found.get(name + SCALE)) for name in like})


def lanes_record(lanes: Lanes) -> ArrayRecord:
    """Pack masked numbers for a message."""
    return ArrayRecord({LANES: Array(np.asarray(lanes, "<u4"))})


def unpack_lanes(record: ArrayRecord, *, size: int) -> Lanes:
    """Take a stranger's array for ``size`` masked numbers; a view on the message's own bytes.

    Raises:
        UpdateRejected: saying how it is something else.
    """
    if set(record) != {LANES}:
        raise UpdateRejected(f"Tensors are not the expected ones; missing or surplus: {_few(sorted(record))}.")
    return _view(LANES, record[LANES], "uint32", (size,))


def from_record(record: ArrayRecord, *, like: Tensors, encoding: str = "fp32") -> Tensors:
    """Unpack and decode; raises UpdateRejected as `unpack` does. The arrays may be read-only."""
    return unpack(record, like=like, encoding=encoding).decode()


def record_bytes(record: ArrayRecord) -> int:
    """Bytes of the arrays as they are sent."""
    return sum(len(array.data) for array in record.values())


def _squares(rows: NDArray[Any], scales: Tensor32 | None) -> float:
    """The squared L2 norm of rows that are scaled."""
    # Here, because a client's preflight needs this module but no norm, and PyTorch takes seconds to import.
    import torch

    values = torch.from_dlpack(rows).float()  # type: ignore[attr-defined]
    lengths = torch.linalg.vector_norm(values, dim=1).double()
    if not lengths.isfinite().all():
        # Squares beyond fp32's range are no infinity.
        lengths = torch.linalg.vector_norm(values, dim=1, dtype=torch.float64)
    if scales is not None:
        lengths *= torch.from_dlpack(scales)  # type: ignore[attr-defined]
    return float(lengths.square().sum())


def _encoded(name: str, array: Tensor32, encoding: str) -> dict[str, NDArray[Any]]:
    if encoding == "fp32" or array.ndim < 2:
        return {name: np.asarray(array, np.float32)}
    if encoding == "fp16":
        return {name: np.clip(array, -FP16_MAX, FP16_MAX).astype(np.float16)}
    rows = array.reshape(len(array), -1)
    scales = (np.abs(rows).max(axis=1, initial=0.0) / INT8_MAX).astype(np.float32)
    # A row of zeros, or of values so small that their scale is none, is sent as zeros.
    steps = np.divide(rows, scales[:, None], out=np.zeros_like(rows), where=scales[:, None] > 0)
    values = np.clip(np.rint(steps), -INT8_MAX, INT8_MAX).astype(np.int8)
    return {name: values.reshape(array.shape), name + SCALE: scales}


def _expected(name: str, array: Tensor32, encoding: str) -> list[tuple[str, tuple[str, tuple[int, ...]]]]:
    if encoding == "fp32" or array.ndim < 2:
        return [(name, ("float32", array.shape))]
    if encoding == "fp16":
        return [(name, ("float16", array.shape))]
    return [(name, ("int8", array.shape)), (name + SCALE, ("float32", (len(array),)))]


def _view(name: str, array: Array, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if array.dtype != dtype or tuple(array.shape) != shape:
        raise UpdateRejected(f"Tensor {name} is {array.dtype} {tuple(array.shape)}, expected {dtype} {shape}.")
    header = _header(dtype, shape)
    size = len(header) + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if len(array.data) != size:
        raise UpdateRejected(f"Tensor {name} takes {len(array.data)} bytes, expected {size}.")
    if not array.data.startswith(header):
        raise UpdateRejected(f"Tensor {name} does not begin as NumPy's file of {dtype} {shape} does.")
    return np.frombuffer(array.data, dtype, offset=len(header)).reshape(shape)


@lru_cache(maxsize=4096)
def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """What NumPy writes before values of this type and shape.

    A stranger's header is compared with it and never read: `numpy.load` allocates whatever a header promises, and
    NumPy's own reader of headers gives it to Python's tokenizer, whose errors are no ValueError.
    """
    stream = io.BytesIO()
    described = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, described)
    return stream.getvalue()


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
