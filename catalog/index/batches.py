"""Many vectors at once in a version that is built, or live: added or replaced, with their products' attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from catalog.database import Connection
from catalog.errors import VectorsInvalid
from catalog.filters import ATTRIBUTES
from catalog.index.vectors import COPY_END, COPY_HEADER, checked_vectors, copy_rows
from catalog.index.versions import INDEX, vectors_of, version_of
from catalog.sql import queries

PUBLISHED = queries("publications.sql")
COLUMNS = (*ATTRIBUTES, "image_sha256", "embedding")


def put(connection: Connection, version_id: int, ids: Sequence[int], vectors: NDArray[np.floating]) -> int:
    """Put (N, D) unit vectors of ``ids`` into a version, in place of those that it has; returns how many are in it now.

    Graphs that are there follow, which takes about a millisecond a vector and graph. A product that is published no
    more is left out.

    Raises:
        VectorsInvalid: shape, length or a repeated id.
        IndexVersionMissing: the version is gone.
    """
    version = version_of(connection, version_id)
    floats = checked_vectors(vectors, version.dimension)
    if len(ids) != len(floats):
        raise VectorsInvalid(f"{len(ids)} ids came with {len(floats)} vectors.")
    slots = {
        "vectors": vectors_of(version.id),
        "attributes": _names(ATTRIBUTES),
        "columns": _names(COLUMNS),
        "excluded": sql.SQL(", ").join(sql.Identifier("excluded", name) for name in COLUMNS),
    }
    connection.execute(INDEX["create_arriving"].format(dimension=sql.Literal(version.dimension)))
    try:
        with connection.cursor() as cursor, cursor.copy(INDEX["copy_arriving"]) as copy:
            copy.write(COPY_HEADER + copy_rows(ids, floats) + COPY_END)
    except psycopg.errors.UniqueViolation as error:
        raise VectorsInvalid(f"An id was put twice: {error.diag.message_detail}") from error
    written = connection.execute(PUBLISHED["put_arriving"].format(**slots)).rowcount
    connection.execute(PUBLISHED["drop_arriving"])
    connection.execute(PUBLISHED["recount"].format(**slots), {"id": version.id})
    return written


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in columns)
