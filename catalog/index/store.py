"""The life of an index version: begun, filled, built, verified, swapped in, retired, dropped.

    begin → add … add → finish → verify → swap
    building ───────────────────→ verified → live → retired

Queries only ever see the live version, whole: it becomes live in one transaction. A build that dies leaves a
``building`` version behind, which the next begin removes; one build runs at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.rows import class_row

from catalog.database import Connection, Database
from catalog.errors import IndexRecallLow, IndexStateInvalid, IndexVersionMissing, VectorsInvalid
from catalog.filters import ProductFilter, checked_page
from catalog.index.records import Answer, IndexVersion, State
from catalog.index.search import INDEX, find, measure_recall, vectors_of
from catalog.index.vectors import COPY_END, COPY_HEADER, checked_vectors, copy_rows

MIN_RECALL = 0.9
NO_FILTER = ProductFilter()
# Both live for the length of one statement; without workers, as those need shared memory that containers lack.
BUILD_SETTINGS = {"maintenance_work_mem": "256MB", "max_parallel_maintenance_workers": "0"}


class IndexStore:
    """Index versions in PostgreSQL (pgvector), and search in them. Safe to share between threads.

    Args:
        database: libpq URL, or a `Database` to share its connections.
    """

    def __init__(self, database: str | Database) -> None:
        self._database = Database(database) if isinstance(database, str) else database

    def begin(
        self, model_name: str, model_version: str, catalogue_version: str, dimension: int, *, model_hash: str = ""
    ) -> int:
        """Begin a version and return its id; versions that an earlier build left unfinished are removed."""
        values = {
            "model_name": model_name,
            "model_version": model_version,
            "model_hash": model_hash,
            "catalogue_version": catalogue_version,
            "dimension": dimension,
        }
        with self._database.transaction() as connection:
            _drop(connection, [row[0] for row in connection.execute(INDEX["unfinished"]).fetchall()])
            (number,) = connection.execute(INDEX["begin"], values).fetchone() or (0,)
            version = _version(connection, number)
            slots = {"vectors": vectors_of(version), "dimension": sql.Literal(dimension)}
            connection.execute(INDEX["create_vectors"].format(**slots))
        return version.id

    def add(self, version: int, ids: Sequence[int], vectors: NDArray[np.floating]) -> None:
        """Add (N, D) unit vectors of ``ids``; kept at half precision. All of a call are added, or none.

        Raises:
            VectorsInvalid: shape, length or a repeated id.
            IndexStateInvalid: the version is finished.
        """
        with self._database.transaction() as connection:
            building = _version(connection, version, state="building", for_update=True)
            if building.products is not None:
                raise IndexStateInvalid(f"Index version {version} is finished.", hint="Begin a new one.")
            floats = checked_vectors(vectors, building.dimension)
            if len(ids) != len(floats):
                raise VectorsInvalid(f"{len(ids)} ids came with {len(floats)} vectors.")
            try:
                query = INDEX["copy_vectors"].format(vectors=vectors_of(building))
                with connection.cursor() as cursor, cursor.copy(query) as copy:
                    copy.write(COPY_HEADER + copy_rows(ids, floats) + COPY_END)
            except psycopg.errors.UniqueViolation as error:
                raise VectorsInvalid(f"An id was added twice: {error.diag.message_detail}") from error

    def finish(self, version: int) -> int:
        """Build the HNSW index over what was added; returns the number of products. Takes seconds per 10,000."""
        with self._database.transaction() as connection:
            building = _version(connection, version, state="building", for_update=True)
            for name, value in BUILD_SETTINGS.items():
                connection.execute("SELECT set_config(%s, %s, true)", (name, value))
            if building.products is None:
                connection.execute(INDEX["build_graph"].format(vectors=vectors_of(building)))
                connection.execute(INDEX["analyze"].format(vectors=vectors_of(building)))
            query = INDEX["finish"].format(vectors=vectors_of(building))
            (products,) = connection.execute(query, {"id": version}).fetchone() or (0,)
        return int(products)

    def verify(self, version: int, queries: NDArray[np.floating], *, min_recall: float = MIN_RECALL) -> float:
        """Recall@10 of the HNSW index against exact search over (N, D) unit query vectors; then ``verified``.

        Raises:
            IndexRecallLow: below ``min_recall``; the version stays as it is.
            IndexStateInvalid: the version is not finished, or holds no products.
        """
        with self._database.transaction() as connection:
            built = _version(connection, version, state="building", for_update=True)
            if not built.products:
                raise IndexStateInvalid(f"Index version {version} holds no finished products.", hint="Finish it first.")
            if not len(queries):
                raise VectorsInvalid("An index is verified by at least one query vector.")
            recall = measure_recall(connection, built, checked_vectors(queries, built.dimension))
            if recall < min_recall:
                raise IndexRecallLow(
                    f"Index version {version} finds {recall:.1%} of what exact search finds, not {min_recall:.0%}.",
                    hint="The live version stays. Build again.",
                )
            connection.execute(INDEX["verified"], {"id": version, "recall": recall})
        return recall

    def swap(self, version: int) -> IndexVersion:
        """Make a verified (or once more a retired) version the live one, and the live one retired, in one step."""
        with self._database.transaction() as connection:
            known = _version(connection, version, for_update=True)
            if known.state == "building":
                raise IndexStateInvalid(f"Index version {version} is not verified.", hint="Verify it first.")
            if known.state != "live":
                connection.execute(INDEX["retire_live"])
                connection.execute(INDEX["make_live"], {"id": version})
            return _version(connection, version)

    def drop_retired(self, *, keep: int = 1) -> list[int]:
        """Drop retired versions but the last ``keep`` that were live; returns the ids dropped."""
        with self._database.transaction() as connection:
            rows = connection.execute(INDEX["superfluous"], {"keep": keep}).fetchall()
            return _drop(connection, [row[0] for row in rows])

    def drop_outdated(self, before: datetime) -> list[int]:
        """Drop versions that do not answer queries any more and are older; returns the ids dropped."""
        with self._database.transaction() as connection:
            rows = connection.execute(INDEX["outdated"], {"before": before}).fetchall()
            return _drop(connection, [row[0] for row in rows])

    def live(self) -> IndexVersion | None:
        """The version that answers queries now, or None."""
        with self._database.transaction() as connection:
            return _live(connection)

    def versions(self) -> list[IndexVersion]:
        """All versions, newest first."""
        with (
            self._database.transaction() as connection,
            connection.cursor(row_factory=class_row(IndexVersion)) as cursor,
        ):
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
            filters: only products that pass it; then every one of them is compared.
            offset: hits to skip.
            version: the live one by default; a retired one that is still there answers too.

        Raises:
            IndexVersionMissing: no version is live, or the one asked for is gone.
            VectorsInvalid: the vector is not of this version's space.
        """
        k, offset = checked_page(k, offset)
        with self._database.snapshot() as connection:
            found = _live(connection) if version is None else _version(connection, version)
            if found is None or found.state not in ("live", "retired"):
                raise IndexVersionMissing(
                    "No index version is live." if version is None else f"Index version {version} is not live.",
                    hint="Build the index: `tejido index build`.",
                )
            query = checked_vectors(np.atleast_2d(vector), found.dimension)[0]
            try:
                return find(connection, found, query, k=k, offset=offset, filters=filters)
            except psycopg.errors.UndefinedTable as error:
                raise _gone(found.id) from error

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _version(
    connection: Connection, number: int, *, state: State | None = None, for_update: bool = False
) -> IndexVersion:
    """One version; IndexVersionMissing when there is none, IndexStateInvalid when it is in another state."""
    query = INDEX["version_for_update" if for_update else "version"]
    with connection.cursor(row_factory=class_row(IndexVersion)) as cursor:
        version = cursor.execute(query, {"id": number}).fetchone()
    if version is None:
        raise _gone(number)
    if state is not None and version.state != state:
        raise IndexStateInvalid(f"Index version {number} is {version.state}, not {state}.", hint="Begin a new one.")
    return version


def _live(connection: Connection) -> IndexVersion | None:
    with connection.cursor(row_factory=class_row(IndexVersion)) as cursor:
        return cursor.execute(INDEX["live"]).fetchone()


def _gone(number: int) -> IndexVersionMissing:
    return IndexVersionMissing(
        f"Index version {number} does not exist (any more).", hint="`tejido index status` lists those that do."
    )


def _drop(connection: Connection, numbers: list[int]) -> list[int]:
    for number in numbers:
        connection.execute(INDEX["drop_vectors"].format(vectors=vectors_of(_version(connection, number))))
        connection.execute(INDEX["drop_version"], {"id": number})
    return numbers
