"""The API over fakes at its seams: rows in a list, vectors in an array, counts in a dict; everything else is real."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
from PIL import Image
from valkey.exceptions import ConnectionError as ValkeyDown

from api.context import Services
from api.ports import Vectors
from catalog.errors import DatabaseUnreachable, ObjectMissing
from catalog.filters import ATTRIBUTES, ProductFilter
from catalog.index import ANYTHING, BEGINNING, Answer, Hit, IndexVersion, Place, Variety
from catalog.objects import DirectoryStore
from catalog.store import FacetValue, FashionFile, User
from security.passwords import hash_password
from security.tokens import AccessTokens
from tests.unit.api.operating import FakeDeeds, FakeModels, FakeTrail
from tests.unit.api.sessions import FakeAudit, FakeFamilies, FakeMachines

PASSWORD = "a password for tests"
SEARCHES_PER_MINUTE = 60
SCRAPER_TOKEN = "a token for scrapers in tests"
PASSWORD_HASH = hash_password(PASSWORD)
READER = "https://pictures.example"
WRITTEN = datetime(2026, 11, 23, 12, tzinfo=UTC)
COLOURS = ("Red", "Green", "Blue", "Black")
FACETS = ("base_colour", *(name for name in ATTRIBUTES if name not in ("base_colour", "owner")))


@cache
def picture_of(number: int) -> bytes:
    """A small JPEG, another one for each number."""
    stream = io.BytesIO()
    Image.new("RGB", (30, 40), (number * 5 % 256, 80, 160)).save(stream, "JPEG")
    return stream.getvalue()


def row(number: int) -> FashionFile:
    """The row of one product."""
    return FashionFile(
        id=number, filename=f"{number}.jpg", s3_path=f"s3://data/train/v1/part-00000.parquet#{number}", gender="Men",
        master_category="Apparel", sub_category="Topwear", article_type="Tshirts", base_colour=COLOURS[number % 4],
        season="Summer", year=2012 if number % 2 else None, usage="Casual", product_display_name=f"Shirt {number}",
        dataset="test", owner=None, split="train", image_sha256=hashlib.sha256(picture_of(number)).hexdigest(),
        created_at=WRITTEN,
    )  # fmt: skip


@dataclass
class FakeRows:
    """Files and users in memory, as CatalogueStore keeps them in PostgreSQL."""

    rows: list[FashionFile] = field(default_factory=lambda: [row(number) for number in range(1, 301)])
    users: dict[str, User] = field(default_factory=dict)
    is_down: bool = False
    asked: int = 0

    def ping(self) -> None:
        if self.is_down:
            raise DatabaseUnreachable("The database catalog at secret-host:15432 did not answer.")

    def all_files(self, limit: int, offset: int = 0) -> list[FashionFile]:
        return self.files_by_filters(ProductFilter(), limit, offset)

    def files_by_filters(self, filters: ProductFilter, limit: int, offset: int = 0) -> list[FashionFile]:
        self.ping()
        self.asked += 1
        return [found for found in self.rows if passes(found, filters)][offset : offset + limit]

    def files_after(self, filters: ProductFilter, after: int, limit: int) -> list[FashionFile]:
        self.ping()
        return [found for found in self.rows if passes(found, filters) and found.id > after][:limit]

    def file(self, file_id: int) -> FashionFile | None:
        return next(iter(self.files([file_id])), None)

    def count(self, filters: ProductFilter) -> int:
        return len(self.files_by_filters(filters, len(self.rows)))

    def facets(self, filters: ProductFilter) -> dict[str, list[FacetValue]]:
        rows = self.files_by_filters(filters, len(self.rows))
        counts = {name: Counter(str(getattr(row, name)) for row in rows if getattr(row, name)) for name in FACETS}
        return {
            name: [FacetValue(value, products) for value, products in found.most_common()]
            for name, found in counts.items()
            if found
        }

    def files(self, ids: Sequence[int]) -> list[FashionFile]:
        self.ping()
        return [found for number in ids for found in self.rows if found.id == number]

    def user(self, username: str) -> User | None:
        self.ping()
        return self.users.get(username)

    def rehash(self, username: str, *, old: str, new: str) -> None:
        if self.users[username].password_hash == old:
            self.users[username] = replace(self.users[username], password_hash=new)

    def put_user(
        self, username: str, password_hash: str, roles: Sequence[str], *, client: str | None = None, actor: str = ""
    ) -> None:
        self.users[username] = User(username, password_hash, list(roles), WRITTEN, client)


def passes(found: FashionFile, filters: ProductFilter) -> bool:
    """Whether a row passes a filter."""
    return all(getattr(found, condition.column) in condition.values for condition in filters.conditions())


@dataclass
class FakeEncoder:
    """Reads "like 7" as the vector of product 7, and a picture as the product whose picture it is."""

    dimension: int = 8
    encoded: int = 0
    space: int = 1

    def encode_texts(self, texts: list[str]) -> Vectors:
        self.encoded += len(texts)
        return np.stack([vector_of(int(text.rsplit(" ", 1)[-1]), self.space) for text in texts])

    def encode_images(self, images: list[bytes]) -> Vectors:
        self.encoded += len(images)
        by_picture = {picture_of(number): number for number in range(1, 52)}
        return np.stack([vector_of(by_picture.get(image, 1), self.space) for image in images])


def vector_of(number: int, space: int) -> Vectors:
    """A unit vector, always the same for the same product in the same vector space."""
    raw = np.random.default_rng([number, space]).normal(size=8).astype(np.float32)
    return raw / np.float32(np.linalg.norm(raw))


def rank(hit: Hit) -> tuple[float, int]:
    """Best first, equal ones by id."""
    return (-hit.score, hit.product_id)


@dataclass
class FakeIndex:
    """Exact neighbours in memory; version n lies in vector space n."""

    files: FakeRows
    version: IndexVersion | None = None
    is_exact: bool = True
    passed_over: set[int] = field(default_factory=set)
    """As a graph may."""
    vectors: dict[int, Vectors] = field(default_factory=dict)
    """Of products that shall have others than `vector_of` gives."""
    asked_for: Variety = ANYTHING
    retired: list[IndexVersion] = field(default_factory=list)

    def live(self) -> IndexVersion | None:
        return self.version

    def versions(self) -> list[IndexVersion]:
        return [*([self.version] if self.version else []), *self.retired]

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
        assert self.version is not None
        assert version is not None
        rows = [found for found in self.files.rows if passes(found, filters)]
        vectors = {found.id: self.vectors.get(found.id, vector_of(found.id, version)) for found in rows}
        scored = [Hit(number, float(vector @ own)) for number, own in vectors.items() if number not in self.passed_over]
        ranked = sorted(scored, key=rank)
        left = [hit for hit in ranked if hit.product_id not in after.shown]
        if after.last is not None:
            left = [hit for hit in left if rank(hit) > rank(after.last)]
        self.asked_for = variety
        live = replace(self.version, id=version)
        return Answer(left[:k], live, self.is_exact, len(left) > k, after, passing=len(rows))

    def vector(self, product_id: int, *, version: int | None = None) -> Vectors | None:
        assert version is not None
        return vector_of(product_id, version) if self.files.files([product_id]) else None

    def swap(self, number: int, model_version: str) -> None:
        if self.version is not None:
            self.retired.insert(0, replace(self.version, state="retired"))
        self.version = IndexVersion(
            number, "fashion-clip", model_version, "", "v1", 8, "live", len(self.files.rows), 1.0, WRITTEN, WRITTEN
        )


@dataclass
class FakeValkey:
    """Counts and cached values in a dict."""

    values: dict[str, Any] = field(default_factory=dict)
    is_down: bool = False

    def get(self, key: str) -> Any:
        self._try()
        return self.values.get(key)

    def set(self, key: str, value: bytes, *, ex: int) -> None:
        self._try()
        self.values[key] = value

    def increment(self, key: str, *, expires_s: int) -> tuple[int, int]:
        self._try()
        self.values[key] = self.values.get(key, 0) + 1
        return self.values[key], expires_s

    def reset(self, key: str) -> None:
        self._try()
        self.values.pop(key, None)

    def _try(self) -> None:
        if self.is_down:
            raise ValkeyDown("secret-host:6379 refused")


@dataclass
class FakePictures:
    """Pictures by the product's number, and those of ``own``, by their key."""

    own: dict[str, bytes] = field(default_factory=dict)

    def picture(self, s3_path: str) -> bytes:
        if "#" not in s3_path:
            return self.own[s3_path.removeprefix("s3://data/")]
        number = int(s3_path.partition("#")[2])
        if number > 50:
            raise ObjectMissing(f"{s3_path} is not there.")
        return picture_of(number)


class FakeReader:
    """Signs like S3 does, for a bucket that browsers reach."""

    def url(self, key: str, *, valid_s: int) -> str:
        assert 0 < valid_s <= 300
        return f"{READER}/client-aurora/{key}?X-Amz-Expires={valid_s}"


@dataclass
class Parts:
    """All fakes of one API, for tests that break or look into them."""

    files: FakeRows
    index: FakeIndex
    encoder: FakeEncoder
    valkey: FakeValkey
    tokens: AccessTokens
    services: Services
    checkpoints: DirectoryStore
    models: FakeModels
    trail: FakeTrail
    deeds: FakeDeeds
    own: Any
    bucket: Any
    families: FakeFamilies
    audit: FakeAudit
    machines: FakeMachines

    def switch_to(self, number: int, model_version: str) -> None:
        """Make another index live and load its model, as the follower does."""
        self.index.swap(number, model_version)
        self.services.search.model.refresh()
