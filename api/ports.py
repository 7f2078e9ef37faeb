"""What the API needs of the parts behind it: the seams at which tests put fakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from catalog.filters import ProductFilter
from catalog.index import ANYTHING, BEGINNING, Answer, IndexVersion, Place, Variety
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

    def put_user(self, username: str, password_hash: str, roles: Sequence[str]) -> None:
        """Create the user, or replace hash and roles."""


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
