"""Products that curators write, one at a time: row and vector in one transaction, the picture before both.

Each transaction acts for one client, and PostgreSQL takes nothing of any other's in it: docs/explanation/security.md.

Pictures are objects named by their content, ``own/<client>/<sha256>.<suffix>``, so writing one again changes nothing.
One that a failed transaction leaves behind is named by no row and does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.database import Connection, OnDatabase, act_for
from catalog.errors import IndexVersionMissing
from catalog.index.records import IndexVersion
from catalog.index.versions import INDEX, live_version, vectors_of, version_of
from catalog.index.writing import follow_own, recount, remove_vector, write_vector
from catalog.own_rows import OWN, Keep, names, owner_of, placeholders, rows_of, written_values
from catalog.store import COLUMNS, FIRST_OWN_ID, FashionFile

CATCHING_UP = 5_301_867
"""Of the advisory lock of whoever embeds what an index lacks; any number that nobody else takes."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture's (D,) unit vector, in the space of an index version."""

    version: int
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Written:
    """A row as it is now, and whether the live index has it with this picture."""

    row: FashionFile
    is_searchable: bool


class OwnProducts(OnDatabase):
    """Curators' products, published or not, each client's for itself. Safe to share between threads."""

    def of_references(self, client: str, references: Sequence[str]) -> list[FashionFile]:
        """The client's products that it knows by these references."""
        values = {"owner": client, "references": list(references)}
        with self._database.acting_for(client) as connection:
            return rows_of(connection, OWN["of_references"].format(columns=COLUMNS), values)

    def of_id(self, client: str, product_id: int) -> FashionFile | None:
        """One of the client's products; None where there is none, or it is not the client's."""
        with self._database.acting_for(client) as connection:
            found = rows_of(connection, OWN["of_id"].format(columns=COLUMNS), {"owner": client, "id": product_id})
        return found[0] if found else None

    def put(self, product: FashionFile, embedded: Embedded, keep: Keep) -> Written:
        """Publish a product in place of the one with its owner and reference, which keeps its id, or as a new one.

        Args:
            product: its id and time are not looked at.
            embedded: its picture.
            keep: puts the picture where ``s3_path`` says; called before the row is written.
        """
        values = written_values(product)
        query = OWN["put"].format(
            columns=COLUMNS, content=names(values), values=placeholders(values), excluded=names(values, "excluded")
        )
        with self._database.acting_for(owner_of(product)) as connection:
            connection.execute(OWN["lock_reference"], values)
            connection.execute(OWN["lock_object"], {"s3_path": product.s3_path})
            keep()
            version = _held(connection, embedded)
            (taken,) = connection.execute(OWN["take_unpublished"], values).fetchone() or (None,)
            (row,) = rows_of(connection, query, values | {"taken": taken})
            return Written(row, _embed(connection, version, row, embedded))

    def change(
        self,
        client: str,
        product_id: int,
        values: Mapping[str, Any],
        *,
        embedded: Embedded | None = None,
        keep: Keep = lambda: None,
    ) -> Written | None:
        """Give a published product other values; None where the client has no such product.

        Args:
            client: whose product it must be.
            product_id: its id.
            values: column → value, at least one; another picture is ``s3_path``, ``image_sha256`` and ``filename``.
            embedded: that other picture.
            keep: puts it where ``s3_path`` says.
        """
        query = OWN["change"].format(columns=COLUMNS, changed=names(values), values=placeholders(values))
        with self._database.acting_for(client) as connection:
            if "s3_path" in values:
                connection.execute(OWN["lock_object"], {"s3_path": values["s3_path"]})
                keep()
            version = _held(connection, embedded)
            found = rows_of(connection, query, {**values, "owner": client, "id": product_id})
            if not found:
                return None
            if embedded:
                return Written(found[0], _embed(connection, version, found[0], embedded))
            if version:
                follow_own(connection, version, client, product_id, product_id)
            return Written(found[0], is_searchable=version is not None)

    def remove(self, client: str, product_id: int) -> FashionFile | None:
        """Delete a published product, from every index version too; None where the client has no such product.

        The live version first, and by itself: a version that is being built is held for as long as its graphs take, and
        nobody else's writing shall wait with this.
        """
        values = {"owner": client, "id": product_id}
        with self._database.acting_for(client) as connection:
            version = _held(connection, None)
            if version and rows_of(connection, OWN["of_id"].format(columns=COLUMNS), values):
                remove_vector(connection, version, product_id)
        with self._database.acting_for(client) as connection:
            removed = rows_of(connection, OWN["remove"].format(columns=COLUMNS), values)
        return removed[0] if removed else None

    def forget(self, client: str, s3_path: str, delete: Keep) -> None:
        """Call ``delete``, which removes a client's object, unless a product names it; none can begin to meanwhile."""
        values = {"owner": client, "s3_path": s3_path}
        with self._database.acting_for(client) as connection:
            connection.execute(OWN["lock_object"], values)
            (is_named,) = connection.execute(OWN["is_named"], values).fetchone() or (True,)
            if not is_named:
                delete()

    def count(self) -> int:
        """How many products curators have published, of all clients."""
        with self._database.transaction() as connection:
            (products,) = connection.execute(OWN["count"]).fetchone() or (0,)
        return int(products)

    def behind(self, version: int, *, after: int = 0, limit: int = 32) -> list[FashionFile]:
        """Curators' products that an index version lacks, or knows by another picture, in the order of ids.

        Raises:
            IndexVersionMissing: the version is gone.
        """
        with self._database.transaction() as connection:
            # Held, so that nobody drops its vectors before they are looked at.
            version_of(connection, version, for_update=True)
            query = OWN["behind"].format(columns=COLUMNS, vectors=vectors_of(version))
            return rows_of(connection, query, {"after": after, "limit": limit})

    def embed(self, row: FashionFile, embedded: Embedded) -> bool:
        """Put the vector of a product that is there; whether it is in the version now.

        Raises:
            IndexVersionMissing: the version is gone.
        """
        with self._database.acting_for(owner_of(row)) as connection:
            version = version_of(connection, embedded.version, for_update=True)
            is_there = write_vector(connection, version, row.id, row.image_sha256, embedded.vector)
            if is_there and version.state == "building":
                connection.execute(INDEX["added"], {"id": version.id, "added": 1})
            return is_there

    def follow(self, version: int) -> None:
        """Bring what a version says of clients' own products, and its count, to what is so.

        Raises:
            IndexVersionMissing: the version is gone.
        """
        with self._database.transaction() as connection:
            found = version_of(connection, version, for_update=True)
            for (owner,) in connection.execute(OWN["owners"]).fetchall():
                act_for(connection, owner)
                follow_own(connection, found, owner, FIRST_OWN_ID)
            recount(connection, found)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether the block is the only one, of all processes, that catches up."""
        with self._database.transaction() as connection:
            (is_alone,) = connection.execute(OWN["alone"], {"key": CATCHING_UP}).fetchone() or (False,)
            yield bool(is_alone)


def _held(connection: Connection, embedded: Embedded | None) -> IndexVersion | None:
    """The version that is written to, its row held: always before the product's, so that no two block each other."""
    number = embedded.version if embedded else getattr(live_version(connection), "id", None)
    if number is None:
        return None
    try:
        return version_of(connection, number, for_update=True)
    except IndexVersionMissing:
        # Dropped since the picture was embedded: the one that is live now catches up.
        return None


def _embed(connection: Connection, version: IndexVersion | None, row: FashionFile, embedded: Embedded) -> bool:
    if version is None:
        return False
    return write_vector(connection, version, row.id, row.image_sha256, embedded.vector) and version.state == "live"
