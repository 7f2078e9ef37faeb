"""Single products written to an index version that exists: by curators, one after another, while it answers queries.

Each function works in the caller's transaction, so that a product's row and its vector are seen together or not at all.
Whoever writes holds the version's row, which keeps it from being dropped, and its count right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from catalog.database import Connection
from catalog.filters import ATTRIBUTES
from catalog.index.records import IndexVersion
from catalog.index.vectors import Halfvec, checked_vectors
from catalog.index.versions import vectors_of
from catalog.sql import queries

OWN = queries("own.sql")
LAST_ID = 2**63 - 1


def write_vector(
    connection: Connection, version: IndexVersion, product_id: int, image_sha256: str, vector: NDArray[np.floating]
) -> bool:
    """Put a product's (D,) unit vector, with its attributes, in place of what the version has of it.

    Returns:
        Whether it is there now; False when the product is gone or has another picture than ``image_sha256``.

    Raises:
        VectorsInvalid: the vector is not of this version's space.
    """
    (unit,) = checked_vectors(np.atleast_2d(vector), version.dimension)
    query = OWN["write_vector"].format(
        vectors=vectors_of(version.id),
        attributes=_attributes(None),
        excluded=_attributes("excluded"),
        dimension=sql.Literal(version.dimension),
    )
    values = {"id": product_id, "image_sha256": image_sha256, "embedding": Halfvec(unit)}
    written = connection.execute(query, values).fetchone()
    if written and written[0]:
        _count(connection, version, 1)
    return written is not None


def remove_vector(connection: Connection, version: IndexVersion, product_id: int) -> None:
    """Take a product out of a version, if it is there."""
    query = OWN["remove_vector"].format(vectors=vectors_of(version.id))
    if connection.execute(query, {"id": product_id}).rowcount:
        _count(connection, version, -1)


def follow_own(connection: Connection, version: IndexVersion, owner: str, first: int, last: int = LAST_ID) -> None:
    """Bring the attributes that a version has of a client's products of these ids to what their rows say."""
    slots: dict[str, Any] = {"vectors": vectors_of(version.id), "attributes": _attributes(None)}
    query = OWN["follow"].format(**slots, of_file=_attributes("file"), of_vector=_attributes("vector"))
    connection.execute(query, {"owner": owner, "first": first, "last": last})


def recount(connection: Connection, version: IndexVersion) -> None:
    """Count a version's products again: those that were deleted left every version, but only the live one counted."""
    connection.execute(OWN["recount"].format(vectors=vectors_of(version.id)), {"id": version.id})


def _count(connection: Connection, version: IndexVersion, more: int) -> None:
    # NULL while the version is built, and stays so: finishing it counts.
    connection.execute(OWN["count_more"], {"id": version.id, "more": more})


def _attributes(table: str | None) -> sql.Composed:
    names = (sql.Identifier(table, name) if table else sql.Identifier(name) for name in ATTRIBUTES)
    return sql.SQL(", ").join(names)
