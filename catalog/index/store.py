"""The life of an index version: begun, filled, built, verified, swapped in, retired, dropped.

    begin → add … add → finish → verify → swap
    building ───────────────────→ verified → live → retired

Queries only ever see the live version, whole: it becomes live in one transaction. A build that dies leaves a
``building`` version behind, which the next begin removes; one build runs at a time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from types import TracebackType
from typing import Self

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.types.json import Jsonb

from catalog.database import Connection, Database
from catalog.errors import IndexRecallLow, IndexStateInvalid, IndexVersionMissing, VectorsInvalid
from catalog.filters import ATTRIBUTES, ProductFilter, checked_page
from catalog.index.census import SAMPLE, IndexCensus
from catalog.index.graphs import build_graphs, value_counts
from catalog.index.records import Answer, Graph, IndexVersion, RecallBucket
from catalog.index.router import plan
from catalog.index.search import find
from catalog.index.vectors import COPY_END, COPY_HEADER, checked_vectors, copy_rows
from catalog.index.verification import GRAPH_QUERIES, measured, tuned
from catalog.index.versions import INDEX, ROWS, drop, gone, live_version, vectors_of, version_of

MIN_RECALL = 0.9
NO_FILTER = ProductFilter()
ATTRIBUTE_COLUMNS = sql.SQL(", ").join(sql.Identifier(name) for name in ATTRIBUTES)
CENSUS_S = 300.0
"""How long counts of an index version are believed; they move only by single products that are written or removed."""


class IndexStore:
    """Index versions in PostgreSQL (pgvector), and search in them. Safe to share between threads.

    Args:
        database: libpq URL, or a `Database` to share its connections.
    """

    def __init__(self, database: str | Database) -> None:
        self._database = Database(database) if isinstance(database, str) else database
        self._known: dict[int, tuple[float, IndexVersion, IndexCensus]] = {}

    def begin(
        self,
        model_name: str,
        model_version: str,
        catalogue_version: str,
        dimension: int,
        *,
        model_hash: str = "",
        expected: int | None = None,
    ) -> int:
        """Begin a version and return its id; versions that an earlier build left unfinished are removed.

        ``expected`` is the number of vectors that it will have, for whoever follows the build.
        """
        values = {
            "model_name": model_name,
            "model_version": model_version,
            "model_hash": model_hash,
            "catalogue_version": catalogue_version,
            "dimension": dimension,
            "expected": expected,
        }
        with self._database.transaction() as connection:
            drop(connection, [row[0] for row in connection.execute(INDEX["unfinished"]).fetchall()])
            (number,) = connection.execute(INDEX["begin"], values).fetchone() or (0,)
            version = version_of(connection, number)
            slots = {"vectors": vectors_of(version.id), "dimension": sql.Literal(dimension)}
            connection.execute(INDEX["create_vectors"].format(**slots))
        return version.id

    def add(self, version: int, ids: Sequence[int], vectors: NDArray[np.floating]) -> None:
        """Add (N, D) unit vectors of ``ids``, at half precision, with the attributes that the catalogue has of them.

        All of a call are added, or none; a product that is published no more is left out.

        Raises:
            VectorsInvalid: shape, length or a repeated id.
            IndexStateInvalid: the version is finished.
        """
        with self._database.transaction() as connection:
            building = version_of(connection, version, state="building", for_update=True)
            if building.products is not None:
                raise IndexStateInvalid(f"Index version {version} is finished.", hint="Begin a new one.")
            floats = checked_vectors(vectors, building.dimension)
            if len(ids) != len(floats):
                raise VectorsInvalid(f"{len(ids)} ids came with {len(floats)} vectors.")
            slots = {"vectors": vectors_of(building.id), "attributes": ATTRIBUTE_COLUMNS}
            try:
                connection.execute(INDEX["create_arriving"].format(dimension=sql.Literal(building.dimension)))
                with connection.cursor() as cursor, cursor.copy(INDEX["copy_arriving"]) as copy:
                    copy.write(COPY_HEADER + copy_rows(ids, floats) + COPY_END)
                added = connection.execute(INDEX["add_arriving"].format(**slots)).rowcount
            except psycopg.errors.UniqueViolation as error:
                raise VectorsInvalid(f"An id was added twice: {error.diag.message_detail}") from error
            connection.execute(INDEX["added"], {"id": version, "added": added})

    def finish(self, version: int) -> int:
        """Build the graphs over what was added; returns the number of products. Takes seconds per 10,000."""
        with self._database.transaction() as connection:
            building = version_of(connection, version, state="building", for_update=True)
            graphs = building.graphs or build_graphs(connection, building, building.added)
            query = INDEX["finish"].format(vectors=vectors_of(building.id))
            values = {"id": version, "graphs": _as_json(graphs)}
            (products,) = connection.execute(query, values).fetchone() or (0,)
        return int(products)

    def verify(self, version: int, queries: NDArray[np.floating], *, min_recall: float = MIN_RECALL) -> IndexVersion:
        """Measure recall@10 against exact search with (N, D) unit query vectors, then say ``verified``.

        Each graph gets the smallest ef with which it finds 99 %; then searches under filters of every selectivity are
        measured as the router answers them. A version that is live or retired can be measured again.

        Raises:
            IndexRecallLow: below ``min_recall`` in one of the ranges; the version stays as it is.
            IndexStateInvalid: the version is not finished, or holds no products.
        """
        with self._database.transaction() as connection:
            built = version_of(connection, version)
            if built.state == "building":
                # Nobody shall drop it meanwhile. One that is live is not held: a rollback would wait for the figures.
                version_of(connection, version, for_update=True)
            if not built.products:
                raise IndexStateInvalid(f"Index version {version} holds no finished products.", hint="Finish it first.")
            if not len(queries):
                raise VectorsInvalid("An index is verified by at least one query vector.")
            vectors = checked_vectors(queries, built.dimension)
            some = vectors[:: max(1, len(vectors) // GRAPH_QUERIES)]
            graphs = tuple(tuned(connection, built, graph, vectors if graph.column is None else some)
                           for graph in built.graphs)  # fmt: skip
            recall = measured(connection, built, _census(connection, built), graphs, vectors)
            worst = min([bucket.recall_at_10 for bucket in recall] + [graphs[0].recall or 0.0])
            if worst < min_recall:
                raise IndexRecallLow(
                    f"Index version {version} finds {worst:.1%} of what exact search finds, not {min_recall:.0%}.",
                    hint="The live version stays. Build again.",
                )
            values = {
                "id": version,
                "recall_at_10": graphs[0].recall,
                "recall": _as_json(recall),
                "graphs": _as_json(graphs),
            }
            connection.execute(INDEX["verified"], values)
            self._known.pop(version, None)
            return version_of(connection, version)

    def swap(self, version: int) -> IndexVersion:
        """Make a verified (or once more a retired) version the live one, and the live one retired, in one step."""
        with self._database.transaction() as connection:
            known = version_of(connection, version, for_update=True)
            if known.state == "building":
                raise IndexStateInvalid(f"Index version {version} is not verified.", hint="Verify it first.")
            if known.state != "live":
                connection.execute(INDEX["retire_live"])
                connection.execute(INDEX["make_live"], {"id": version})
            return version_of(connection, version)

    def drop_retired(self, *, keep: int = 1) -> list[int]:
        """Drop retired versions but the last ``keep`` that were live; returns the ids dropped."""
        with self._database.transaction() as connection:
            rows = connection.execute(INDEX["superfluous"], {"keep": keep}).fetchall()
            return drop(connection, [row[0] for row in rows])

    def drop_outdated(self, before: datetime) -> list[int]:
        """Drop versions that do not answer queries any more and are older; returns the ids dropped."""
        with self._database.transaction() as connection:
            rows = connection.execute(INDEX["outdated"], {"before": before}).fetchall()
            return drop(connection, [row[0] for row in rows])

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
        offset: int = 0,
        version: int | None = None,
    ) -> Answer:
        """The ``k`` products nearest to a (D,) unit vector after the first ``offset``, of one snapshot.

        Args:
            vector: encoded by the model version of ``version``.
            k: at most 1,000.
            filters: only products that pass it. As many hits are given as there are.
            offset: hits to skip.
            version: the live one by default; a retired one that is still there answers too.

        Raises:
            IndexVersionMissing: no version is live, or the one asked for is gone.
            VectorsInvalid: the vector is not of this version's space.
        """
        k, offset = checked_page(k, offset)
        conditions = filters.conditions()
        with self._database.transaction() as connection:
            found, census = self._searchable(connection, version)
            query = checked_vectors(np.atleast_2d(vector), found.dimension)[0]
            way = plan(found.graphs, census, conditions, wanted=offset + k + 1)
            try:
                return find(connection, found, query, way, conditions, k=k, offset=offset)
            except psycopg.errors.UndefinedTable as error:
                self._known.pop(found.id, None)
                raise gone(found.id) from error

    def vector(self, product_id: int, *, version: int | None = None) -> NDArray[np.float32] | None:
        """The (D,) unit vector of a product in a version, the live one by default; None where it holds none of it.

        Raises:
            IndexVersionMissing: no version is live, or the one asked for is gone.
        """
        with self._database.transaction() as connection:
            found, _ = self._searchable(connection, version)
            query = INDEX["vector"].format(vectors=vectors_of(found.id))
            try:
                row = connection.execute(query, {"product_id": product_id}).fetchone()
            except psycopg.errors.UndefinedTable as error:
                self._known.pop(found.id, None)
                raise gone(found.id) from error
        if row is None:
            return None
        vector = np.array(row[0], np.float32)
        # It was rounded to half precision, which leaves its length a little off.
        return vector / np.float32(np.linalg.norm(vector))

    def _searchable(self, connection: Connection, version: int | None) -> tuple[IndexVersion, IndexCensus]:
        """A version that may answer, and its census; what is known of it already is not asked for again."""
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
        census = _census(connection, found)
        fresh = {number: entry for number, entry in self._known.items() if self._known_still(number)}
        self._known = {**fresh, found.id: (time.monotonic(), found, census)}
        return found, census

    def _known_still(self, version: int) -> tuple[IndexVersion, IndexCensus] | None:
        """What was read of a version not long ago."""
        entry = self._known.get(version)
        return entry[1:] if entry and time.monotonic() - entry[0] < CENSUS_S else None

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _census(connection: Connection, version: IndexVersion) -> IndexCensus:
    query = INDEX["sample"].format(vectors=vectors_of(version.id), attributes=ATTRIBUTE_COLUMNS)
    rows = connection.execute(query, {"rows": SAMPLE}).fetchall()
    return IndexCensus.of(version.products or 0, value_counts(connection, version), rows)


def _as_json(records: Sequence[Graph] | Sequence[RecallBucket]) -> Jsonb:
    return Jsonb([asdict(record) for record in records])
