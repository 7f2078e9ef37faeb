"""Curators' products over fakes: rows and vectors in dicts, as `catalog.own_products.OwnProducts` keeps them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from api.ports import Vectors
from catalog.errors import ObjectMissing, StorageUnreachable
from catalog.own_products import Embedded, Written
from catalog.store import FIRST_OWN_ID, FashionFile
from tests.unit.api.fakes import WRITTEN, FakeIndex


@dataclass
class FakeOwnRows:
    """Own products among the other rows; the vectors of the version that is live are those that searches see."""

    index: FakeIndex
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(FIRST_OWN_ID))
    vectors: dict[tuple[int, int], tuple[str, Vectors]] = field(default_factory=dict)
    """(version, product) → image hash, vector."""
    followed: list[int] = field(default_factory=list)
    is_taken: bool = False
    unpublished: list[FashionFile] = field(default_factory=list)

    @property
    def own(self) -> list[FashionFile]:
        return [row for row in self.index.files.rows if row.origin == "curator"]

    def of_references(self, client: str, references: Sequence[str]) -> list[FashionFile]:
        self.index.files.ping()
        rows = (*self.own, *self.unpublished)
        return [row for row in rows if row.owner == client and row.reference in references]

    def of_id(self, client: str, product_id: int) -> FashionFile | None:
        rows = (*self.own, *self.unpublished)
        return next((row for row in rows if (row.owner, row.id) == (client, product_id)), None)

    def put(self, product: FashionFile, embedded: Embedded, keep: Callable[[], None]) -> Written:
        keep()
        known = next(iter(self.of_references(product.owner or "", [product.reference or ""])), None)
        number = known.id if known else next(self.ids)
        self.unpublished[:] = [row for row in self.unpublished if row.id != number]
        return self._write(replace(product, id=number, created_at=WRITTEN), embedded)

    def change(
        self,
        client: str,
        product_id: int,
        values: Mapping[str, Any],
        *,
        embedded: Embedded | None = None,
        keep: Callable[[], None] = lambda: None,
    ) -> Written | None:
        known = self.of_id(client, product_id)
        if known is None:
            return None
        keep()
        return self._write(replace(known, **values), embedded)

    def remove(self, client: str, product_id: int) -> FashionFile | None:
        known = self.of_id(client, product_id)
        if known in self.index.files.rows:
            self.index.files.rows.remove(known)
        return known

    def forget(self, client: str, s3_path: str, delete: Callable[[], None]) -> None:
        if s3_path not in {row.s3_path for row in (*self.own, *self.unpublished) if row.owner == client}:
            delete()

    def behind(self, version: int, *, after: int = 0, limit: int = 32) -> list[FashionFile]:
        known = {number: digest for (of, number), (digest, _) in self.vectors.items() if of == version}
        return [row for row in self.own if row.id > after and known.get(row.id) != row.image_sha256][:limit]

    def embed(self, row: FashionFile, embedded: Embedded) -> bool:
        self._write(row, embedded)
        return True

    def follow(self, version: int) -> None:
        self.followed.append(version)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        yield not self.is_taken

    def _write(self, row: FashionFile, embedded: Embedded | None) -> Written:
        rows = self.index.files.rows
        rows[:] = [*(other for other in rows if other.id != row.id), row]
        if embedded:
            self.vectors[embedded.version, row.id] = (row.image_sha256, embedded.vector)
            self.index.vectors[row.id] = embedded.vector
        live = self.index.live()
        return Written(row, is_searchable=not embedded or (live is not None and embedded.version == live.id))


@dataclass
class FakeUnpublished:
    """Their rows beside those that are published; `catalog.unpublished.UnpublishedProducts` in production."""

    rows: FakeOwnRows

    def page(self, client: str, *, after: int, limit: int) -> list[FashionFile]:
        return [row for row in self.rows.unpublished if row.owner == client and row.id > after][:limit]

    def put(self, product: FashionFile, keep: Callable[[], None]) -> FashionFile | None:
        known = next(iter(self.rows.of_references(product.owner or "", [product.reference or ""])), None)
        if known and known.origin == "curator":
            return None
        keep()
        number = known.id if known else next(self.rows.ids)
        return self._write(replace(product, id=number, created_at=WRITTEN, origin="unpublished"))

    def change(
        self,
        client: str,
        product_id: int,
        values: Mapping[str, Any],
        *,
        keep: Callable[[], None] = lambda: None,
    ) -> FashionFile | None:
        known = self._of(client, product_id)
        if known is None:
            return None
        if "s3_path" in values:
            keep()
        return self._write(replace(known, **values))

    def publish(self, client: str, product_id: int) -> FashionFile | None:
        known = self.remove(client, product_id)
        if known is None:
            return None
        shown = replace(known, origin="curator")
        self.rows.index.files.rows.append(shown)
        return shown

    def remove(self, client: str, product_id: int) -> FashionFile | None:
        known = self._of(client, product_id)
        if known:
            self.rows.unpublished.remove(known)
        return known

    def _of(self, client: str, product_id: int) -> FashionFile | None:
        return next((row for row in self.page(client, after=0, limit=10**6) if row.id == product_id), None)

    def _write(self, row: FashionFile) -> FashionFile:
        self.rows.unpublished[:] = [*(other for other in self.rows.unpublished if other.id != row.id), row]
        return row


@dataclass
class FakeBucket:
    """Objects in a dict."""

    objects: dict[str, bytes] = field(default_factory=dict)
    is_down: bool = False

    def url(self, key: str) -> str:
        return f"s3://data/{key}"

    def put(self, key: str, data: bytes) -> None:
        if self.is_down:
            raise StorageUnreachable("The bucket at secret-host:9000 did not answer.")
        self.objects[key] = data

    def delete(self, key: str) -> None:
        if self.is_down:
            raise StorageUnreachable("The bucket at secret-host:9000 did not answer.")
        del self.objects[key]

    def picture(self, s3_path: str) -> bytes:
        """As `catalog.pictures.ShardPictures` reads one."""
        try:
            return self.objects[s3_path.removeprefix("s3://data/")]
        except KeyError:
            raise ObjectMissing(f"{s3_path} is not there.") from None
