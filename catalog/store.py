"""The published catalogue as rows of PostgreSQL, and the users who may read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Any, Literal, LiteralString

from psycopg import sql
from psycopg.rows import class_row

from catalog.database import Connection, OnDatabase
from catalog.filters import ProductFilter, checked_page, parameters, where
from catalog.index.following import follow_catalogue
from catalog.sessions import about_request
from catalog.sql import queries

FILES = queries("files.sql")
NO_FILTER = ProductFilter()
Origin = Literal["catalogue", "curator", "published", "unpublished"]
"""How a product came: with a version of the catalogue, by a client's curator, or published by a client that keeps the
photo. Only the first are replaced when a version of the catalogue is published. What a curator has not published yet is
``unpublished``, and no row of ``fashion_files``."""
FIRST_OWN_ID = 1_000_000_000
"""Products that did not come with the catalogue are numbered from here on, so that no id ever means two of them."""


@dataclass(frozen=True, slots=True)
class FashionFile:
    """One row of ``fashion_files``.

    ``s3_path`` is the shard that holds the picture, ``#`` and the product's id, or the picture itself as one object.
    ``split`` is None for what is neither learned from nor evaluated with: clients' own products.
    """

    id: int
    filename: str
    s3_path: str
    gender: str | None
    master_category: str | None
    sub_category: str | None
    article_type: str | None
    base_colour: str | None
    season: str | None
    year: int | None
    usage: str | None
    product_display_name: str
    dataset: str
    owner: str | None
    split: str | None
    image_sha256: str
    created_at: datetime
    brand: str | None = None
    origin: Origin = "catalogue"
    reference: str | None = None
    """The key by which its client knows a product that a curator wrote."""


@dataclass(frozen=True, slots=True)
class User:
    """Who may log in; ``password_hash`` is argon2id's own text form."""

    username: str
    password_hash: str
    roles: list[str]
    created_at: datetime
    client: str | None = None
    """Whose products a curator writes; None for everybody else."""


@dataclass(frozen=True, slots=True)
class FacetValue:
    """How many products have one value of an attribute."""

    value: str
    products: int


@dataclass(frozen=True, slots=True)
class CatalogueStats:
    """Numbers of published products: in all, by split, by data set, by owner (only those that have one)."""

    products: int
    by_split: dict[str, int]
    by_dataset: dict[str, int]
    by_owner: dict[str, int]


COLUMNS = sql.SQL(", ").join(sql.Identifier(f.name) for f in fields(FashionFile))


class CatalogueStore(OnDatabase):
    """Reads and replaces the published rows; every call is one transaction, or DatabaseUnreachable."""

    def replace_products(self, rows: Iterable[FashionFile], *, before_commit: Callable[[], None] | None = None) -> int:
        """Put ``rows`` in place of all rows that came with the catalogue, in one transaction, in constant memory.

        A row that was there and is no other keeps its ``created_at``; the index follows in the same transaction. What
        clients wrote or published themselves stays as it is.

        Args:
            rows: the new rows; ids are distinct.
            before_commit: called when all rows are in and before any reader sees them; if it raises, nothing changes.

        Returns:
            The number of rows.
        """
        count = 0
        with self._database.transaction() as connection, connection.cursor() as cursor:
            cursor.execute(FILES["create_incoming"])
            with cursor.copy(FILES["copy_incoming"].format(columns=COLUMNS)) as copy:
                for row in rows:
                    copy.write_row(astuple(row))
                    count += 1
            slots = {"columns": COLUMNS, "content": _content(None)}
            slots |= {"of_incoming": _content("incoming"), "of_file": _content("file")}
            for step in ("delete_absent", "update_changed", "insert_new"):
                cursor.execute(FILES[step].format(**slots))
            follow_catalogue(connection)
            cursor.execute(FILES["analyze_files"])
            if before_commit:
                before_commit()
        return count

    def all_files(self, limit: int, offset: int = 0) -> list[FashionFile]:
        """A page of all rows, in the order of their ids."""
        return self.files_by_filters(NO_FILTER, limit, offset)

    def files_by_filters(self, filters: ProductFilter, limit: int, offset: int = 0) -> list[FashionFile]:
        """A page of the rows that pass the filter, in the order of their ids; FilterInvalid for an absurd page."""
        limit, offset = checked_page(limit, offset)
        conditions = filters.conditions()
        query = FILES["files_page"].format(columns=COLUMNS, where=where(conditions))
        return self._files(query, {**parameters(conditions), "limit": limit, "offset": offset})

    def files_after(self, filters: ProductFilter, after: int, limit: int) -> list[FashionFile]:
        """Rows that pass the filter with ids above ``after``, in the order of their ids."""
        limit, _ = checked_page(limit, 0)
        conditions = filters.conditions()
        query = FILES["files_after"].format(columns=COLUMNS, where=where(conditions))
        return self._files(query, {**parameters(conditions), "after": after, "limit": limit})

    def file(self, file_id: int) -> FashionFile | None:
        """One row, or None."""
        return next(iter(self.files([file_id])), None)

    def files(self, ids: Sequence[int]) -> list[FashionFile]:
        """The rows of these ids, in their order; ids without a row are left out."""
        # An id beyond PostgreSQL's bigint names no row, and would be an error there.
        known = [number for number in ids if -(2**63) <= number < 2**63]
        return self._files(FILES["files_by_id"].format(columns=COLUMNS), {"ids": known})

    def count(self, filters: ProductFilter = NO_FILTER) -> int:
        """How many products pass the filter."""
        conditions = filters.conditions()
        query = FILES["count"].format(where=where(conditions))
        rows = self._database.read(lambda connection: connection.execute(query, parameters(conditions)).fetchall())
        return int(rows[0][0])

    def facets(self, filters: ProductFilter = NO_FILTER) -> dict[str, list[FacetValue]]:
        """Attribute → its values among all products that pass the filter, most frequent first."""
        conditions = filters.conditions()
        facets: dict[str, list[FacetValue]] = defaultdict(list)
        query = FILES["facets"].format(where=where(conditions))
        rows = self._database.read(lambda connection: connection.execute(query, parameters(conditions)).fetchall())
        for attribute, value, products in rows:
            facets[attribute].append(FacetValue(value, products))
        return dict(facets)

    def stats(self) -> CatalogueStats:
        """How much is published."""
        counts: list[dict[str, int]] = [defaultdict(int) for _ in range(3)]
        total = 0
        with self._database.transaction() as connection:
            for *values, products in connection.execute(FILES["stats"]):
                total += products
                for by, value in zip(counts, values, strict=True):
                    if value is not None:
                        by[value] += products
        by_split, by_dataset, by_owner = (dict(by) for by in counts)
        return CatalogueStats(total, by_split, by_dataset, by_owner)

    def user(self, username: str) -> User | None:
        """The user of this name, or None."""
        if "\0" in username:
            return None  # PostgreSQL's text cannot hold it, so nobody has that name.
        with self._database.transaction() as connection, connection.cursor(row_factory=class_row(User)) as cursor:
            return cursor.execute(FILES["user"], {"username": username}).fetchone()

    def users(self) -> list[User]:
        """All users, by name."""
        with self._database.transaction() as connection, connection.cursor(row_factory=class_row(User)) as cursor:
            return cursor.execute(FILES["users"]).fetchall()

    def put_user(
        self, username: str, password_hash: str, roles: Sequence[str], *, client: str | None = None, actor: str = ""
    ) -> None:
        """Create the user, or replace hash, roles and client; the audit log tells of it, and whose deed it was.

        Raises:
            DatabaseRefused: a curator of nobody.
        """
        values = {"username": username, "password_hash": password_hash, "roles": list(roles), "client": client}
        with self._database.transaction() as connection:
            about_request(connection, actor=actor)
            connection.execute(FILES["put_user"], values)

    def rehash(self, username: str, *, old: str, new: str) -> None:
        """Keep the same password under another hash, unless it was changed meanwhile."""
        with self._database.transaction() as connection:
            about_request(connection, actor=username)
            connection.execute(FILES["rehash"], {"username": username, "old": old, "new": new})

    def ping(self) -> None:
        """Raise DatabaseUnreachable or DatabaseNotReady unless the catalogue can be read."""
        probe: LiteralString = "SELECT 1 FROM fashion_files LIMIT 1"
        with self._database.transaction() as connection:
            connection.execute(probe)

    def _files(self, query: sql.Composed, values: dict[str, Any]) -> list[FashionFile]:
        def rows(connection: Connection) -> list[FashionFile]:
            with connection.cursor(row_factory=class_row(FashionFile)) as cursor:
                return cursor.execute(query, values).fetchall()

        return self._database.read(rows)


def _content(table: str | None) -> sql.Composed:
    """All columns but when the row was written, of one table."""
    names = [f.name for f in fields(FashionFile) if f.name != "created_at"]
    return sql.SQL(", ").join(sql.Identifier(table, name) if table else sql.Identifier(name) for name in names)
