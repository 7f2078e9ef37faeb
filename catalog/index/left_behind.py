"""Products that clients published and that the live version lacks: found in the older version that still has them.

A client that was away when a new model went live has not embedded its products for it yet. They are searched in the
older version, by a query in that version's own space, and their scores are brought to the live version's scale: the
spaces are never mixed. Which they are is written down in the transaction that makes a version live.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from catalog.database import Connection, Database
from catalog.errors import IndexVersionMissing
from catalog.filters import ProductFilter, checked_page, parameters, where
from catalog.index.records import BEGINNING, Hit, IndexVersion, Place
from catalog.index.vectors import Halfvec, checked_vectors, from_halfvec
from catalog.index.versions import PUBLISHED, held_query, live_version, vectors_of, version_of

Kind = Literal["text", "image"]
"""Of a query: a text is never as near to a picture as a picture is."""
NO_FILTER = ProductFilter()


@dataclass(frozen=True, slots=True)
class Calibration:
    """How to read the older version's scores beside the live one's; see server.calibrating."""

    slope: float = 1.0
    intercept: float = 0.0
    error: float | None = None
    """Root of the mean squared difference that is left, in units of score; None: it was never measured."""
    queries: int = 0


UNMEASURED = Calibration()


@dataclass(frozen=True, slots=True)
class Straggling:
    """An older version that still answers for some products."""

    version: IndexVersion
    products: int
    calibrations: Mapping[str, Calibration]
    """By kind of query; one that was not measured leaves scores as they are."""

    def calibration(self, kind: Kind) -> Calibration:
        """For queries of this kind."""
        return self.calibrations.get(kind, UNMEASURED)


class LeftBehind:
    """Reads and searches them. Every call is one transaction.

    Args:
        database: a `Database` to share its connections.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, live: int) -> list[Straggling]:
        """The older versions that answer beside ``live``, newest first; none is the usual case, and cheap."""
        with self._database.transaction() as connection:
            found = connection.execute(PUBLISHED["stragglers"]).fetchall()
            return [
                Straggling(version_of(connection, older), products, calibrations(connection, live, older))
                for older, products in found
                if older != live
            ]

    def search(
        self,
        straggling: Straggling,
        vector: NDArray[np.floating],
        k: int,
        *,
        kind: Kind,
        filters: ProductFilter = NO_FILTER,
        after: Place = BEGINNING,
    ) -> list[Hit]:
        """The ``k`` nearest of the products that only this version has, best first, with scores on the live scale.

        Args:
            straggling: of `of`.
            vector: (D,) unit, encoded by the model of *this* version.
            k: at most 1,000.
            kind: of the query.
            filters: only products that pass it.
            after: of the merged pages so far; its last hit's score is on the live scale.

        Raises:
            IndexVersionMissing: the version is gone.
            VectorsInvalid: the vector is not of this version's space.
        """
        k, _ = checked_page(k, 0)
        version, conditions = straggling.version, filters.conditions()
        calibration = straggling.calibration(kind)
        query = PUBLISHED["search_left_behind"].format(
            slope=sql.Literal(calibration.slope),
            intercept=sql.Literal(calibration.intercept),
            dimension=sql.Literal(version.dimension),
            vectors=vectors_of(version.id),
            version=sql.Literal(version.id),
            where=where(conditions),
        )
        values: dict[str, Any] = parameters(conditions) | {
            "query": Halfvec(checked_vectors(np.atleast_2d(vector), version.dimension)[0]),
            "shown": list(after.shown),
            "last_score": None if after.last is None else after.last.score,
            "last_id": None if after.last is None else after.last.product_id,
            "fetch": k,
        }
        with self._database.transaction() as connection:
            # The version may have been dropped since: its products are all in the live one then.
            version_of(connection, version.id)
            return [Hit(number, score) for number, score in connection.execute(query, values)]


def merged(live: Sequence[Hit], *older: Sequence[Hit], k: int) -> list[Hit]:
    """The ``k`` best of hits that are each in order, in the order of a search: by score, equal ones by number."""
    return list(islice(merge(live, *older, key=lambda hit: (-hit.score, hit.product_id)), k))


def note_left_behind(connection: Connection) -> None:
    """Write down which published products the live version lacks, and which version has each; in its transaction."""
    connection.execute(PUBLISHED["forget_left_behind"])
    searchable = [row[0] for row in connection.execute(PUBLISHED["searchable"])]
    if live_version(connection) is not None and len(searchable) > 1:
        query = PUBLISHED["note_left_behind"].format(held=held_query(searchable))
        connection.execute(query, {"versions": searchable})


def calibrations(connection: Connection, live: int, older: int) -> dict[str, Calibration]:
    """What was measured of a pair of versions, by kind of query."""
    rows = connection.execute(PUBLISHED["calibrations"], {"live": live, "older": older}).fetchall()
    return {kind: Calibration(*figures) for kind, *figures in rows}


def put_calibration(connection: Connection, live: int, older: int, kind: Kind, found: Calibration) -> None:
    """Keep what was measured of a pair of versions."""
    values = {
        "live": live, "older": older, "kind": kind,
        "slope": found.slope, "intercept": found.intercept, "error": found.error, "queries": found.queries,
    }  # fmt: skip
    connection.execute(PUBLISHED["put_calibration"], values)


def has_more(connection: Connection, version: int, *, than: int) -> bool:
    """Whether a version holds a published product that another one lacks."""
    query = PUBLISHED["has_more"].format(vectors=vectors_of(version), others=vectors_of(than))
    (found,) = connection.execute(query).fetchone() or (False,)
    return bool(found)


def some_titles(connection: Connection, *, limit: int) -> list[str]:
    """What people may ask for, as the catalogue's products are called."""
    return [row[0] for row in connection.execute(PUBLISHED["some_titles"], {"limit": limit})]


def common_vectors(
    connection: Connection, newer: IndexVersion, older: IndexVersion, *, limit: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, D) and (N, E): vectors of the same pictures in two versions, row by row."""
    query = PUBLISHED["common_vectors"].format(newer=vectors_of(newer.id), older=vectors_of(older.id))
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(query, {"limit": limit}).fetchall()
    if not rows:
        raise IndexVersionMissing(
            f"Index versions {newer.id} and {older.id} have no product in common.", hint="Build the index again."
        )
    return np.stack([from_halfvec(row[0]) for row in rows]), np.stack([from_halfvec(row[1]) for row in rows])
