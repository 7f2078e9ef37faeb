"""Reading an index: which version is live, and what is nearest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from catalog.database import Connection, Database, OnDatabase
from catalog.errors import IndexVersionMissing
from catalog.filters import ATTRIBUTES, ProductFilter, checked_page
from catalog.index.census import SAMPLE, IndexCensus
from catalog.index.graphs import value_counts
from catalog.index.records import BEGINNING, Answer, IndexVersion, Place
from catalog.index.router import Plan, Router
from catalog.index.search import find, looks
from catalog.index.variety import ANYTHING, WINDOW, Variety, page_of, varied
from catalog.index.vectors import checked_vectors, from_halfvec
from catalog.index.versions import INDEX, ROWS, gone, live_version, vectors_of, version_of

T = TypeVar("T")
NO_FILTER = ProductFilter()
ATTRIBUTE_COLUMNS = sql.SQL(", ").join(sql.Identifier(name) for name in ATTRIBUTES)
CENSUS_S = 300.0
"""How long counts of an index version are believed; they move only by single products that are written or removed."""


class IndexReader(OnDatabase):
    """Searches in the versions of the index. Safe to share between threads."""

    def __init__(self, database: str | Database) -> None:
        super().__init__(database)
        self._known: dict[int, tuple[float, IndexVersion, Router]] = {}

    def live(self) -> IndexVersion | None:
        """The version that answers queries now, or None."""
        with self._database.transaction() as connection:
            return live_version(connection)

    def versions(self) -> list[IndexVersion]:
        """All versions, newest first."""
        with self._database.transaction() as connection, connection.cursor(row_factory=ROWS) as cursor:
            return cursor.execute(INDEX["versions"]).fetchall()

    def search(
        self,
        vector: NDArray[np.floating],
        k: int,
        *,
        filters: ProductFilter = NO_FILTER,
        after: Place = BEGINNING,
        version: int | None = None,
        variety: Variety = ANYTHING,
    ) -> Answer:
        """The ``k`` products nearest to a (D,) unit vector, from a place on, of one snapshot.

        Args:
            vector: encoded by the model version of ``version``.
            k: at most 1,000.
            filters: only products that pass it. As many hits are given as there are.
            after: of an earlier answer to the same question by the same version: pages neither skip nor repeat.
            version: the live one by default; a retired one that is still there answers too.
            variety: how different from each other they shall be; then only the nearest `WINDOW` are looked at.

        Raises:
            IndexVersionMissing: no version is live, or the one asked for is gone.
            VectorsInvalid: the vector is not of this version's space.
        """
        k, _ = checked_page(k, 0)
        conditions = filters.conditions()

        def nearest(connection: Connection, found: IndexVersion, router: Router) -> Answer:
            query = checked_vectors(np.atleast_2d(vector), found.dimension)[0]
            if not variety.is_asked:
                way = router.plan(conditions, wanted=k + 1, after=after)
                return find(connection, found, query, way, conditions, k=k, after=after)
            everything = Plan("exact", router.passing(conditions))
            window = find(connection, found, query, everything, conditions, k=WINDOW, after=Place(shown=after.shown))
            return page_of(window, varied(window.hits, looks(connection, found, window), variety), k, after)

        return self._reading(version, nearest)

    def vector(self, product_id: int, *, version: int | None = None) -> NDArray[np.float32] | None:
        """The (D,) unit vector of a product in a version, the live one by default; None where it holds none of it.

        Raises:
            IndexVersionMissing: no version is live, or the one asked for is gone.
        """

        def stored(connection: Connection, found: IndexVersion, _: Router) -> NDArray[np.float32] | None:
            query = INDEX["vector"].format(vectors=vectors_of(found.id))
            with connection.cursor(binary=True) as cursor:
                row = cursor.execute(query, {"product_id": product_id}).fetchone()
            return None if row is None else from_halfvec(row[0])

        return self._reading(version, stored)

    def _reading(self, version: int | None, work: Callable[[Connection, IndexVersion, Router], T]) -> T:
        """What ``work`` reads of a version; IndexVersionMissing when it was dropped meanwhile."""

        def read(connection: Connection) -> T:
            found, router = self._searchable(connection, version)
            try:
                return work(connection, found, router)
            except psycopg.errors.UndefinedTable as error:
                self._known.pop(found.id, None)
                raise gone(found.id) from error

        return self._database.read(read)

    def _searchable(self, connection: Connection, version: int | None) -> tuple[IndexVersion, Router]:
        """A version that may answer, and its router; what is known of it already is not asked for again."""
        if version is not None and (known := self._known_still(version)):
            return known
        found = live_version(connection) if version is None else version_of(connection, version)
        if found is None or found.state not in ("live", "retired"):
            raise IndexVersionMissing(
                "No index version is live." if version is None else f"Index version {version} is not live.",
                hint="Build the index: `tejido index build`.",
            )
        if known := self._known_still(found.id):
            return found, known[1]
        router = Router(found.graphs, census_of(connection, found))
        fresh = {number: entry for number, entry in self._known.items() if self._known_still(number)}
        self._known = {**fresh, found.id: (time.monotonic(), found, router)}
        return found, router

    def _known_still(self, version: int) -> tuple[IndexVersion, Router] | None:
        """What was read of a version not long ago."""
        entry = self._known.get(version)
        return entry[1:] if entry and time.monotonic() - entry[0] < CENSUS_S else None


def census_of(connection: Connection, version: IndexVersion) -> IndexCensus:
    """Counts of a version's products by their attributes, and a sample of them."""
    query = INDEX["sample"].format(vectors=vectors_of(version.id), attributes=ATTRIBUTE_COLUMNS)
    rows = connection.execute(query, {"rows": SAMPLE}).fetchall()
    return IndexCensus.of(version.products or 0, value_counts(connection, version), rows)
