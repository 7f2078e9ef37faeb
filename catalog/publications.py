"""Products that clients published of their own: their rows, and in which index versions their vectors are.

A client's product is known by the client's name and the client's own number of it. The number of its row is given out
here, so whatever a client sends, it can write no row but its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from catalog.database import Connection, OnDatabase
from catalog.errors import OfferInvalid
from catalog.index.batches import put
from catalog.index.following import follow_catalogue
from catalog.index.versions import holders_query, vectors_of, version_of
from catalog.product import brand_of
from catalog.published import Offer
from catalog.sql import queries
from catalog.store import FashionFile
from core.names import client_bucket_name

PUBLISHED = queries("publications.sql")
ORIGIN, SPLIT = "published", None
CONTENT = tuple(field.name for field in fields(FashionFile) if field.name != "created_at")


@dataclass(frozen=True, slots=True)
class Written:
    """What came of one page of a client's products."""

    written: int
    shown_already: int
    """Left out: the same picture is shown for this client already, by the catalogue or its curator."""
    references: tuple[int, ...]
    """The client's numbers of what it publishes: written now, or as before."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of a client's published products an index version holds."""

    owner: str
    published: int
    covered: int

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.covered / self.published if self.published else 1.0


@dataclass(frozen=True, slots=True)
class Held:
    """A client's products that are found in one version, and in none that is asked before it."""

    version: int
    owner: str
    products: int


class Publications(OnDatabase):
    """Writes and counts them. Every call is one transaction."""

    def put_page(self, owner: str, version: int, offers: Sequence[Offer], vectors: NDArray[np.floating]) -> Written:
        """Write some products of a client, with their (N, D) vectors in an index version; all of them or none.

        The vector of a picture that the version has already stays.

        Raises:
            OfferInvalid: one number stands twice, or another number of vectors came.
            VectorsInvalid: another shape than the version's, not finite, or not of length one.
            IndexVersionMissing: the version is gone.
        """
        references = [offer.reference for offer in offers]
        if len(set(references)) < len(references) or len(offers) != len(vectors):
            raise OfferInvalid(f"{owner} offers one product twice, or other vectors than products.")
        with self._database.transaction() as connection:
            connection.execute(PUBLISHED["lock_owner"], {"owner": owner})
            hashes = {"owner": owner, "hashes": [offer.image_sha256 for offer in offers]}
            shown = {row[0] for row in connection.execute(PUBLISHED["shown_already"], hashes)}
            rows = [row for row, offer in enumerate(offers) if offer.image_sha256 not in shown]
            kept = [offers[row] for row in rows]
            ids = self._ids(connection, owner, [offer.reference for offer in kept])
            self._write(connection, owner, kept, ids)
            new = self._new_in(connection, version, ids, kept)
            if new:
                put(connection, version, [ids[row] for row in new], vectors[[rows[row] for row in new]])
            connection.execute(PUBLISHED["caught_up"], {"ids": ids, "version": version})
        return Written(len(kept), len(offers) - len(kept), tuple(offer.reference for offer in kept))

    def keep_only(self, owner: str, references: Iterable[int]) -> int:
        """Remove what a client publishes no more, from every version; returns how many products went."""
        with self._database.transaction() as connection:
            connection.execute(PUBLISHED["lock_owner"], {"owner": owner})
            gone = connection.execute(PUBLISHED["sweep"], {"owner": owner, "keep": list(references)}).rowcount
            follow_catalogue(connection)
        return gone

    def coverage(self, version: int) -> list[Coverage]:
        """How much of what each client published a version holds."""
        with self._database.transaction() as connection:
            query = PUBLISHED["coverage"].format(vectors=vectors_of(version))
            return [Coverage(*row) for row in connection.execute(query)]

    def held(self) -> list[Held]:
        """Where each client's products are found: the live version, or else the latest that has them."""
        with self._database.transaction() as connection:
            return held(connection)

    def _ids(self, connection: Connection, owner: str, references: list[int]) -> list[int]:
        values = {"owner": owner, "references": references}
        known: dict[int, int] = dict(connection.execute(PUBLISHED["known"], values).fetchall())
        missing = [reference for reference in references if reference not in known]
        fresh = connection.execute(PUBLISHED["new_ids"], {"count": len(missing)}).fetchall()
        known |= {reference: row[0] for reference, row in zip(missing, fresh, strict=True)}
        return [known[reference] for reference in references]

    @staticmethod
    def _new_in(connection: Connection, version: int, ids: Sequence[int], offers: Sequence[Offer]) -> list[int]:
        """Rows whose pictures a version has not yet: of the same picture, the same model makes the same vector."""
        query = PUBLISHED["pictures_in"].format(vectors=vectors_of(version_of(connection, version).id))
        there: dict[int, str] = dict(connection.execute(query, {"ids": list(ids)}).fetchall())
        return [
            row
            for row, (number, offer) in enumerate(zip(ids, offers, strict=True))
            if there.get(number) != offer.image_sha256
        ]

    @staticmethod
    def _write(connection: Connection, owner: str, offers: Sequence[Offer], ids: Sequence[int]) -> None:
        query = PUBLISHED["put_file"].format(
            content=_names(),
            values=sql.SQL(", ").join(map(sql.Placeholder, CONTENT)),
            excluded=_names("excluded"),
            of_file=_names("fashion_files"),
        )
        with connection.cursor() as cursor:
            cursor.executemany(query, [_row(owner, offer, number) for offer, number in zip(offers, ids, strict=True)])
            cursor.executemany(
                PUBLISHED["put_published"],
                [
                    {"product_id": number, "owner": owner, "reference": offer.reference}
                    for offer, number in zip(offers, ids, strict=True)
                ],
            )


def held(connection: Connection) -> list[Held]:
    """As `Publications.held`, within a transaction."""
    versions = [row[0] for row in connection.execute(PUBLISHED["searchable"])]
    if not versions:
        return []
    query = holders_query(versions)
    return [Held(versions[place], owner, products) for place, owner, products in connection.execute(query)]


def _row(owner: str, offer: Offer, number: int) -> dict[str, Any]:
    told = {name: getattr(offer, name) for name in CONTENT if hasattr(offer, name)}
    return told | {
        "id": number,
        "reference": str(offer.reference),
        "filename": f"{offer.reference}.{offer.suffix}",
        "s3_path": f"s3://{client_bucket_name(owner)}/{offer.picture_key}",
        "dataset": ORIGIN,
        "owner": owner,
        "split": SPLIT,
        "brand": brand_of(offer.product_display_name),
        "origin": ORIGIN,
    }


def _names(table: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, name) if table else sql.Identifier(name) for name in CONTENT)
