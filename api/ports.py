"""What the API needs of the parts behind it: the seams at which tests put fakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from catalog.audit_log import Kind
from catalog.filters import ProductFilter
from catalog.index import ANYTHING, BEGINNING, Answer, IndexVersion, Place, Variety
from catalog.machines import Admitted
from catalog.own_products import Embedded, Written
from catalog.sessions import Begun, Refused, Renewed
from catalog.store import FacetValue, FashionFile, User

Vectors = NDArray[np.float32]


class Files(Protocol):
    """The rows of the published catalogue; `catalog.store.CatalogueStore` in production."""

    def all_files(self, limit: int, offset: int) -> list[FashionFile]:
        """Rows in the order of their ids."""

    def files_by_filters(self, filters: ProductFilter, limit: int, offset: int) -> list[FashionFile]:
        """Rows that match every given attribute, in the order of their ids."""

    def files_after(self, filters: ProductFilter, after: int, limit: int) -> list[FashionFile]:
        """Rows that pass the filter with ids above ``after``, in the order of their ids."""

    def file(self, file_id: int) -> FashionFile | None:
        """One row."""

    def files(self, ids: Sequence[int]) -> list[FashionFile]:
        """The rows of these ids."""

    def count(self, filters: ProductFilter) -> int:
        """How many rows match every given attribute."""

    def facets(self, filters: ProductFilter) -> dict[str, list[FacetValue]]:
        """Attribute → its values among these rows, most frequent first."""

    def ping(self) -> None:
        """Raise when the database does not answer."""


class Users(Protocol):
    """Who may log in; `catalog.store.CatalogueStore` in production."""

    def user(self, username: str) -> User | None:
        """The user of this name."""

    def rehash(self, username: str, *, old: str, new: str) -> None:
        """Keep the same password under another hash, unless it was changed meanwhile."""


class SessionFamilies(Protocol):
    """Families of refresh tokens; `catalog.sessions.SessionStore` in production."""

    def begin(self, username: str, sha256: bytes, *, idle_s: int, lifetime_s: int, address: str) -> Begun:
        """Begin a family with its first token."""

    def renew(self, old_sha256: bytes, new_sha256: bytes, *, idle_s: int) -> Renewed | Refused:
        """Use up a token for the next one; a token that was used before revokes its family."""

    def revoke(self, sha256: bytes, reason: str) -> str | None:
        """Revoke the family of a token; its id, if it lived."""


class Machines(Protocol):
    """Programs that may get access tokens; `catalog.machines.MachineStore` in production."""

    def admit(self, name: str, sha256: bytes, *, address: str) -> Admitted | None:
        """The program whose name and secret these are."""


class Audit(Protocol):
    """The audit log; `catalog.audit_log.AuditLog` in production."""

    def append(self, kind: Kind, actor: str, **details: object) -> None:
        """Add an entry."""


class Encoder(Protocol):
    """Turns queries into unit vectors; `federation.encoder.Encoder` in production."""

    @property
    def dimension(self) -> int:
        """Length of the vectors."""

    def encode_texts(self, texts: list[str]) -> Vectors:
        """(N, D) unit vectors."""

    def encode_images(self, images: list[bytes]) -> Vectors:
        """(N, D) unit vectors of encoded pictures."""


class Index(Protocol):
    """The vector index; `catalog.index.IndexStore` in production."""

    def live(self) -> IndexVersion | None:
        """The version that answers queries now."""

    def versions(self) -> list[IndexVersion]:
        """All versions, newest first."""

    def search(
        self,
        vector: Vectors,
        k: int,
        *,
        filters: ProductFilter,
        after: Place = BEGINNING,
        version: int | None = None,
        variety: Variety = ANYTHING,
    ) -> Answer:
        """The ``k`` products nearest to ``vector`` from a place on, best first."""

    def vector(self, product_id: int, *, version: int | None = None) -> Vectors | None:
        """The product's own vector, if the version holds it."""


class OwnRows(Protocol):
    """Rows and vectors of the products that curators write; `catalog.own_products.OwnProducts` in production."""

    def of_references(self, client: str, references: Sequence[str]) -> list[FashionFile]:
        """The client's products that it knows by these references."""

    def of_id(self, client: str, product_id: int) -> FashionFile | None:
        """One of the client's products."""

    def put(self, product: FashionFile, embedded: Embedded, keep: Callable[[], None]) -> Written:
        """Write a product in place of the one with its owner and reference, or as a new one."""

    def change(
        self,
        client: str,
        product_id: int,
        values: Mapping[str, Any],
        *,
        embedded: Embedded | None = None,
        keep: Callable[[], None] = ...,
    ) -> Written | None:
        """Give a product of the client other values."""

    def remove(self, client: str, product_id: int) -> FashionFile | None:
        """Delete a product of the client."""

    def forget(self, client: str, s3_path: str, delete: Callable[[], None]) -> None:
        """Call ``delete`` unless a product of the client names the object."""

    def behind(self, version: int, *, after: int = 0, limit: int = 32) -> list[FashionFile]:
        """Products that an index version lacks, or knows by another picture."""

    def embed(self, row: FashionFile, embedded: Embedded) -> bool:
        """Put the vector of a product that is there."""

    def follow(self, version: int) -> None:
        """Bring what a version says of clients' own products to what is so."""

    def alone(self) -> AbstractContextManager[bool]:
        """Whether the block is the only one that catches up."""


class UnpublishedRows(Protocol):
    """What curators have not published; `catalog.unpublished.UnpublishedProducts` in production."""

    def page(self, client: str, *, after: int, limit: int) -> list[FashionFile]:
        """The client's, with ids above ``after``, in their order."""

    def put(self, product: FashionFile, keep: Callable[[], None]) -> FashionFile | None:
        """Write a product, new or in place of one with its owner and reference; None where that is published."""

    def change(
        self, client: str, product_id: int, values: Mapping[str, Any], *, keep: Callable[[], None] = ...
    ) -> FashionFile | None:
        """Give a product of the client other values."""

    def publish(self, client: str, product_id: int) -> FashionFile | None:
        """Publish a product of the client."""

    def remove(self, client: str, product_id: int) -> FashionFile | None:
        """Delete a product of the client."""


class OwnPictures(Protocol):
    """The bucket of their pictures; `catalog.objects.ObjectStore` in production."""

    def url(self, key: str) -> str:
        """Where ``key`` is."""

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``."""

    def delete(self, key: str) -> None:
        """Remove ``key``."""
