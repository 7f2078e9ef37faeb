"""Products of a client, written by its curator: each is judged alone, embedded at once, and found from then on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from api.errors import ArgumentInvalid, NotFound
from api.live_model import LiveModel
from api.ports import OwnPictures, OwnRows, UnpublishedRows
from api.vectors import QueryVectors
from catalog.cleaning import EMPTY_TITLE, YEARS, plain_text, suffix_of
from catalog.own_products import Embedded, Written
from catalog.pictures import OWN
from catalog.product import ATTRIBUTES, brand_of
from catalog.store import FashionFile
from core.errors import TejidoError

MAX_REFERENCE_CHARS = 128
DATASET = "curator"
UNWRITTEN = datetime.fromtimestamp(0, UTC)
UNPUBLISHED = "unpublished"
State = Literal["created", "updated", "unchanged", "published", "refused"]

log = structlog.get_logger()


@dataclass(frozen=True)
class Outcome:
    """What became of one product."""

    state: State
    row: FashionFile


@dataclass(frozen=True)
class Curating:
    """Writes products for clients.

    Args:
        model: reads the pictures, as it reads those that people search by.
        vectors: remembers what it has read: a product's picture finds it at once.
        rows: of the catalogue, with their vectors.
        unpublished: rows that are not in the catalogue yet.
        pictures: opens the bucket that keeps the pictures; called when one is written.
        fall_behind: called when a product was written that the live index does not hold yet.
    """

    model: LiveModel
    vectors: QueryVectors
    rows: OwnRows
    unpublished: UnpublishedRows
    pictures: Callable[[], OwnPictures]
    fall_behind: Callable[[], None]

    def known(self, client: str, references: list[str]) -> list[FashionFile]:
        """The client's products with these references."""
        # What is not printable is nobody's reference, and PostgreSQL's text might not hold it.
        return self.rows.of_references(client, [reference for reference in references if reference.isprintable()])

    def write(
        self, client: str, reference: str, values: Mapping[str, Any], picture: bytes, *, publish: bool = True
    ) -> Outcome:
        """Create a product, or replace the one that the client knows by this reference; sent again, it changes nothing.

        Args:
            client: whose product it is.
            reference: the client's own key.
            values: attributes, year and title, by column.
            picture: encoded.
            publish: whether others see it from now on; one that is published already cannot be taken back so.

        Raises:
            ArgumentInvalid, ImageInvalid: the product cannot be used.
            SearchNotReady, Unavailable: nothing can be embedded now.
        """
        product = self._product(client, checked_reference(reference), cleaned(values), picture)
        known = next(iter(self.rows.of_references(client, [product.reference or ""])), None)
        is_shown = known is not None and known.origin != UNPUBLISHED
        if known and _content(known) == _content(product) and is_shown == publish:
            return Outcome("unchanged", known)
        if not publish:
            return self._write_unpublished(client, known, product, picture)
        written = self.rows.put(product, self._embedded(picture), self._keep(client, product.filename, picture))
        self._follow_up(known, written)
        return self._told(("updated" if is_shown else "published") if known else "created", written.row)

    def publish(self, client: str, product_id: int) -> Outcome:
        """Show others a product that the client has kept to itself; searches find it within seconds.

        Raises:
            NotFound: the client has no such product that is not published.
        """
        row = self.unpublished.publish(client, product_id)
        if row is None:
            raise NotFound(
                f"You have no unpublished product {product_id}.", hint="unpublishedProducts lists those that you have."
            )
        self.fall_behind()
        return self._told("published", row)

    def change(self, client: str, product_id: int, values: Mapping[str, Any], picture: bytes | None) -> Outcome:
        """Change the given values, and the picture if there is one, of one of the client's products.

        Raises:
            NotFound: the client has no such product.
            ArgumentInvalid, ImageInvalid, SearchNotReady, Unavailable: as for `write`.
        """
        known = self.rows.of_id(client, product_id)
        if known is None:
            raise _missing(product_id)
        wanted = cleaned({**_values(known), **values})
        changed = {name: value for name, value in wanted.items() if value != getattr(known, name)}
        image = self._image(client, picture) if picture is not None else {}
        if not changed and image.get("image_sha256", known.image_sha256) == known.image_sha256:
            return Outcome("unchanged", known)
        is_other = picture is not None and image["image_sha256"] != known.image_sha256
        if known.origin == UNPUBLISHED:
            return self._change_unpublished(known, changed | (image if is_other else {}), picture)
        if picture is None or not is_other:
            written = self.rows.change(client, product_id, changed)
        else:
            keep = self._keep(client, image["filename"], picture)
            embedded = self._embedded(picture)
            written = self.rows.change(client, product_id, {**changed, **image}, embedded=embedded, keep=keep)
        if written is None:
            raise _missing(product_id)
        self._follow_up(known, written)
        return self._told("updated", written.row)

    def delete(self, client: str, product_id: int) -> FashionFile:
        """Remove one of the client's products; raises NotFound when it has no such product."""
        row = self.unpublished.remove(client, product_id) or self.rows.remove(client, product_id)
        if row is None:
            raise _missing(product_id)
        self._forget(row)
        log.info("product was deleted", client=client, product=product_id, reference=row.reference)
        return row

    def _write_unpublished(
        self, client: str, known: FashionFile | None, product: FashionFile, picture: bytes
    ) -> Outcome:
        row = self.unpublished.put(product, self._keep(client, product.filename, picture))
        if row is None:
            raise ArgumentInvalid(
                f"{product.reference} is published already.", hint="Write it with publish: true, or delete it first."
            )
        if known:
            self._forget_other(known, row)
        return self._told("updated" if known else "created", row)

    def _change_unpublished(self, known: FashionFile, values: dict[str, Any], picture: bytes | None) -> Outcome:
        client = known.owner or ""
        keep = self._keep(client, values.get("filename", ""), picture or b"")
        row = self.unpublished.change(client, known.id, values, keep=keep)
        if row is None:
            raise _missing(known.id)
        self._forget_other(known, row)
        return self._told("updated", row)

    def _product(self, client: str, reference: str, values: Mapping[str, Any], picture: bytes) -> FashionFile:
        return FashionFile(
            id=0, **values, **self._image(client, picture), dataset=DATASET, owner=client, split=None,
            created_at=UNWRITTEN, origin="curator", reference=reference,
        )  # fmt: skip

    def _image(self, client: str, picture: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(picture).hexdigest()
        filename = f"{digest}.{suffix_of(picture)}"
        return {"filename": filename, "image_sha256": digest, "s3_path": self.pictures().url(_key(client, filename))}

    def _embedded(self, picture: bytes) -> Embedded:
        model = self.model.current()
        return Embedded(model.index.id, self.vectors.of_image(model, picture))

    def _keep(self, client: str, filename: str, picture: bytes) -> Callable[[], None]:
        return lambda: self.pictures().put(_key(client, filename), picture)

    def _follow_up(self, before: FashionFile | None, written: Written) -> None:
        if before:
            self._forget_other(before, written.row)
        if not written.is_searchable:
            self.fall_behind()

    def _forget_other(self, before: FashionFile, now: FashionFile) -> None:
        if before.s3_path != now.s3_path:
            self._forget(before)

    def _forget(self, row: FashionFile) -> None:
        client = row.owner or ""
        key = _key(client, row.filename)
        try:
            self.rows.forget(client, row.s3_path, lambda: self.pictures().delete(key))
        except TejidoError as error:
            # What was asked for is done; an object that no product names does no harm.
            log.warning("picture was left behind", key=key, code=error.code, error=str(error))

    @staticmethod
    def _told(state: State, row: FashionFile) -> Outcome:
        # The request's log context names the user.
        log.info("product was written", state=state, client=row.owner, product=row.id, reference=row.reference)
        return Outcome(state, row)


def cleaned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as the catalogue's own cleaning leaves them; raises ArgumentInvalid for no title, or no year."""
    title, year = plain_text(values.get("product_display_name")), values.get("year")
    if title is None:
        raise ArgumentInvalid(EMPTY_TITLE, hint="Every product has a title.")
    if year is not None and year not in YEARS:
        raise ArgumentInvalid(f"year is {year}.", hint=f"Give {YEARS[0]} to {YEARS[-1]}, or none.")
    texts = {name: plain_text(values.get(name)) for name in ATTRIBUTES}
    return {**texts, "year": year, "product_display_name": title, "brand": brand_of(title)}


def checked_reference(reference: str) -> str:
    """The client's key, if it can be one; raises ArgumentInvalid."""
    if not 0 < len(reference) <= MAX_REFERENCE_CHARS or not reference.isprintable() or reference != reference.strip():
        raise ArgumentInvalid(
            f"reference is {reference[:40]!r}.",
            hint=f"Give your own key of the product: 1 to {MAX_REFERENCE_CHARS} characters, no space around them.",
        )
    return reference


def _values(row: FashionFile) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (*ATTRIBUTES, "year", "product_display_name")}


def _content(row: FashionFile) -> dict[str, Any]:
    return {**_values(row), "image_sha256": row.image_sha256}


def _key(client: str, filename: str) -> str:
    return f"{OWN}{client}/{filename}"


def _missing(product_id: int) -> NotFound:
    return NotFound(f"You have no product {product_id}.", hint="ownProducts finds yours by your references.")
