"""The life of an index version: begun, filled, built, verified, swapped in, retired, dropped.

    begin → add … add → finish → verify → swap
    building ───────────────────→ verified → live → retired

Queries only ever see the live version, whole: it becomes live in one transaction. A build that dies leaves a
``building`` version behind, which the next begin removes; one build runs at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.types.json import Jsonb

from catalog.errors import IndexRecallLow, IndexStateInvalid, VectorsInvalid
from catalog.filters import ATTRIBUTES, ProductFilter
from catalog.index.graphs import build_graphs
from catalog.index.left_behind import note_left_behind
from catalog.index.reader import IndexReader, census_of
from catalog.index.records import Graph, IndexVersion, RecallBucket
from catalog.index.vectors import COPY_END, COPY_HEADER, checked_vectors, copy_rows
from catalog.index.verification import GRAPH_QUERIES, measured, tuned
from catalog.index.versions import INDEX, drop, unneeded, vectors_of, version_of

MIN_RECALL = 0.9
NO_FILTER = ProductFilter()
ATTRIBUTE_COLUMNS = sql.SQL(", ").join(sql.Identifier(name) for name in ATTRIBUTES)
CENSUS_S = 300.0
"""How long counts of an index version are believed; they move only by single products that are written or removed."""


class IndexStore(IndexReader):
    """Index versions in PostgreSQL (pgvector), made and read. Safe to share between threads."""

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
            connection.execute(INDEX["open_vectors"], {"vectors": vectors_of(version.id).as_string(None)})
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
            graphs = tuple(tuned(connection, built, graph, some if graph.values else vectors)
                           for graph in built.graphs)  # fmt: skip
            recall = measured(connection, built, census_of(connection, built), graphs, vectors)
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
                note_left_behind(connection)
            return version_of(connection, version)

    def drop_retired(self, *, keep: int = 1) -> list[int]:
        """Drop retired versions but the last ``keep`` and those that clients' products need; returns the ids."""
        with self._database.transaction() as connection:
            rows = connection.execute(INDEX["superfluous"], {"keep": keep}).fetchall()
            return drop(connection, unneeded(connection, [row[0] for row in rows]))

    def drop_outdated(self, before: datetime) -> list[int]:
        """Drop versions that do not answer queries any more and are older, likewise; returns the ids dropped."""
        with self._database.transaction() as connection:
            rows = connection.execute(INDEX["outdated"], {"before": before}).fetchall()
            return drop(connection, unneeded(connection, [row[0] for row in rows]))


def _as_json(records: Sequence[Graph] | Sequence[RecallBucket]) -> Jsonb:
    return Jsonb([asdict(record) for record in records])
