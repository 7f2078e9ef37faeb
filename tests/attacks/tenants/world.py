"""Three clients' products in one database, each with a word that nobody else may ever see, and what is left of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import psycopg
from psycopg import sql

from catalog.database import Database
from catalog.index import IndexStore
from catalog.own_products import Embedded, OwnProducts
from catalog.store import FashionFile
from catalog.unpublished import UnpublishedProducts
from tests.integration.catalog.indexes import COLOURS, PUBLISH, VECTORS, publish, unit_vectors

TENANTS = ("aurora", "boreal", "cobre")
EACH = 6
"""Products of each kind and client."""
OWN = unit_vectors(len(TENANTS) * EACH, seed=7)
SECRET = re.compile(r"secret[- ](\w+)", re.IGNORECASE)
OTHERS = sql.SQL("""
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT 'hidden ' || row::text FROM unpublished_products AS row WHERE owner <> %(tenant)s
    UNION ALL
    SELECT 'shown ' || row::text FROM fashion_files AS row
    WHERE owner IS DISTINCT FROM %(tenant)s OR origin <> 'curator'
    UNION ALL
    SELECT 'vector ' || row::text FROM {vectors} AS row WHERE owner IS DISTINCT FROM %(tenant)s
) AS lines (line)
""")


@dataclass(frozen=True)
class World:
    """What there is to be stolen."""

    superuser: str
    api: str
    version: int
    hidden: dict[str, list[FashionFile]]
    shown: dict[str, list[FashionFile]]

    def of_others(self, connection: psycopg.Connection, tenant: str | None) -> str:
        """A hash of all that whoever acts for ``tenant`` may not change; the connection must see all."""
        query = OTHERS.format(vectors=sql.Identifier(self.vectors))
        (digest,) = connection.execute(query, {"tenant": tenant or ""}).fetchone() or ("",)
        return str(digest)

    @property
    def vectors(self) -> str:
        """The table of the live version."""
        return f"product_vectors_{self.version}"


def made_world(superuser: str, api: str) -> World:
    """Fill a migrated database: products of the catalogue, of every client's curator, published and not."""
    with psycopg.connect(superuser) as connection:
        connection.execute(PUBLISH, (list(COLOURS), len(VECTORS) - 1))
        for place, tenant in enumerate(TENANTS):
            held = "UPDATE fashion_files SET owner = %s WHERE id %% 10 = %s"
            connection.execute(held, [tenant, place])
    with IndexStore(superuser) as index:
        version = publish(index)
    with Database(api) as database:
        unpublished, own = UnpublishedProducts(database), OwnProducts(database)
        hidden: dict[str, list[FashionFile]] = {tenant: [] for tenant in TENANTS}
        shown: dict[str, list[FashionFile]] = {tenant: [] for tenant in TENANTS}
        for number in range(EACH):
            for place, tenant in enumerate(TENANTS):
                row = unpublished.put(_product(tenant, number, "secret"), _kept)
                assert row
                hidden[tenant].append(row)
                vector: np.ndarray = OWN[place * EACH + number]
                written = own.put(_product(tenant, EACH + number, "public"), Embedded(version, vector), _kept)
                shown[tenant].append(written.row)
    with psycopg.connect(superuser, autocommit=True) as connection:
        # Statistics hold values too.
        connection.execute("ANALYZE")
    return World(superuser, api, version, hidden, shown)


def others_secrets(text: str, tenant: str | None) -> set[str]:
    """Whose secrets stand in a text, but for the tenant's own."""
    return {found.lower() for found in SECRET.findall(text)} - {tenant}


def _kept() -> None:
    """The picture lies there already."""


def _product(tenant: str, number: int, kind: str) -> FashionFile:
    word = f"{kind} {tenant} {number}"
    product = FashionFile(
        id=0, filename=f"{word}.jpg", s3_path=f"s3://data/own/{tenant}/{word}.jpg", gender=word, master_category=word,
        sub_category=word, article_type=word, base_colour=word, season=word, year=2000 + number, usage=word,
        product_display_name=word, dataset="curator", owner=tenant, split=None, image_sha256=word,
        created_at=datetime(2000, 1, 1, tzinfo=UTC), origin="curator", reference=f"ref-{number}",
    )  # fmt: skip
    return replace(product, brand=word)
