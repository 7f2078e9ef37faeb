"""Vectors on their way into PostgreSQL."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

from catalog.errors import VectorsInvalid

UNIT_TOLERANCE = 1e-2
# PostgreSQL's binary COPY: signature, flags, no header extension; a field count of -1 ends it.
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"


def checked_vectors(vectors: NDArray[np.floating], dimension: int) -> NDArray[np.float32]:
    """(N, dimension) finite vectors of length one, as float32.

    Raises:
        VectorsInvalid: another shape, a value that is not finite, or a length that differs from one.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise VectorsInvalid(
            f"Vectors have shape {vectors.shape}; the index takes (N, {dimension}).",
            hint="Encode with the model version that the index was begun for.",
        )
    floats = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(floats, axis=1)
    # Written so that NaN, which compares false to everything, is caught too.
    if not np.all(np.abs(lengths - 1) < UNIT_TOLERANCE):
        row = int(np.argmin(np.abs(lengths - 1) < UNIT_TOLERANCE))
        raise VectorsInvalid(f"Vector {row} has length {lengths[row]:.3g}, not 1.", hint="Normalise each vector.")
    return floats


def copy_rows(ids: Sequence[int], vectors: NDArray[np.float32]) -> bytes:
    """Rows of (bigint, halfvec) in PostgreSQL's binary COPY format, without header and end; one array operation."""
    dimension = vectors.shape[1]
    row = np.dtype(
        [
            ("fields", ">i2"),
            ("id_bytes", ">i4"),
            ("id", ">i8"),
            ("vector_bytes", ">i4"),
            ("dimension", ">i2"),
            ("unused", ">i2"),
            ("vector", ">f2", (dimension,)),
        ]
    )
    rows = np.zeros(len(ids), dtype=row)
    rows["fields"], rows["id_bytes"], rows["id"] = 2, 8, ids
    rows["vector_bytes"], rows["dimension"], rows["vector"] = 4 + 2 * dimension, dimension, vectors
    return rows.tobytes()


@dataclass(frozen=True, slots=True)
class Halfvec:
    """A (D,) vector as a parameter of a statement, which must cast it to ``halfvec``."""

    values: NDArray[np.float32]


class HalfvecDumper(Dumper):
    """pgvector's binary form: dimension, a reserved word, half floats. A tenth of the time that its text form takes."""

    format = Format.BINARY

    def dump(self, obj: Halfvec) -> bytes:
        """Bytes as `halfvec_recv` reads them."""
        return struct.pack(">HH", len(obj.values), 0) + obj.values.astype(">f2").tobytes()


def from_halfvec(data: bytes) -> NDArray[np.float32]:
    """(D,) vector from pgvector's binary form; rounding to half precision has left its length a little off one."""
    vector = np.frombuffer(data, ">f2", offset=4).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


psycopg.adapters.register_dumper(Halfvec, HalfvecDumper)
