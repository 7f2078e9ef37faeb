"""What a client has not published is its own, by PostgreSQL's word alone, whoever forgets to ask."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from catalog.audit_log import AuditLog
from catalog.database import Connection, Database
from catalog.filters import ProductFilter
from catalog.index import BEGINNING, IndexStore
from catalog.index.router import Plan
from catalog.index.search import statements
from catalog.machines import MachineStore
from catalog.own_products import Embedded, OwnProducts
from catalog.own_rows import OWN as STATEMENTS
from catalog.own_rows import rows_of
from catalog.sessions import SessionStore
from catalog.store import COLUMNS, CatalogueStore, FashionFile
from catalog.unpublished import UnpublishedProducts
from core.names import API_ROLE
from tests.integration.catalog.indexes import QUERIES, build, publish
from tests.integration.catalog.test_own_products import OWN, nothing, product

pytestmark = pytest.mark.integration

TENANTS: list[str | None] = ["aurora", None, "boreal"]
ROWS = "SELECT owner, reference FROM unpublished_products ORDER BY id"


@pytest.fixture
def database(api_dsn: str) -> Iterator[Database]:
    with Database(api_dsn) as opened:
        yield opened


@pytest.fixture
def unpublished(database: Database) -> UnpublishedProducts:
    return UnpublishedProducts(database)


@pytest.fixture
def own(database: Database) -> OwnProducts:
    return OwnProducts(database)


def put(unpublished: UnpublishedProducts, number: int, client: str = "aurora", **values: Any) -> FashionFile:
    row = unpublished.put(replace(product(number, client=client), **values), nothing)
    assert row
    return row


def test_an_unpublished_product_is_in_no_answer_about_published_ones(
    unpublished: UnpublishedProducts, index: IndexStore, database: Database
) -> None:
    files = CatalogueStore(database)
    version = publish(index)
    before = (files.count(), files.facets(), files.stats(), index.live())
    row = put(unpublished, 1)
    assert (row.origin, row.owner, row.split) == ("unpublished", "aurora", None)
    assert (files.count(), files.facets(), files.stats(), index.live()) == before
    assert files.file(row.id) is None
    assert index.vector(row.id) is None
    assert OwnProducts(database).behind(version) == []
    assert unpublished.page("aurora") == [row]
    assert unpublished.page("boreal") == []


def test_writing_and_changing_it_keeps_its_id(unpublished: UnpublishedProducts) -> None:
    first = put(unpublished, 1)
    again = put(unpublished, 1, base_colour="Red")
    assert again == replace(first, base_colour="Red")
    assert unpublished.change("aurora", first.id, {"year": None}) == replace(again, year=None)
    assert unpublished.change("boreal", first.id, {"year": 2020}) is None
    assert unpublished.remove("boreal", first.id) is None
    assert unpublished.remove("aurora", first.id) == replace(again, year=None)
    assert unpublished.page("aurora") == []


def test_it_is_published_under_its_id_and_embedded_next(
    unpublished: UnpublishedProducts, own: OwnProducts, index: IndexStore
) -> None:
    version = publish(index)
    row = put(unpublished, 1)
    assert unpublished.publish("boreal", row.id) is None
    published = unpublished.publish("aurora", row.id)
    assert published
    assert published == replace(row, origin="curator", created_at=published.created_at)
    assert unpublished.page("aurora") == []
    assert own.behind(version) == [published]
    assert own.embed(own.behind(version)[0], Embedded(version, OWN[1]))
    assert index.search(OWN[1], 1).hits[0].product_id == row.id


def test_writing_it_as_a_published_one_takes_it_over_and_not_back(
    unpublished: UnpublishedProducts, own: OwnProducts, index: IndexStore
) -> None:
    version = publish(index)
    row = put(unpublished, 1)
    assert own.put(product(1), Embedded(version, OWN[1]), nothing).row.id == row.id
    assert unpublished.page("aurora") == []
    assert unpublished.put(product(1), nothing) is None


def test_a_product_is_published_or_not_even_if_all_write_at_once(
    unpublished: UnpublishedProducts, own: OwnProducts, index: IndexStore, dsn: str
) -> None:
    version = publish(index)

    def write(number: int) -> None:
        match number % 3:
            case 0:
                unpublished.put(product(1), nothing)
            case 1:
                own.put(product(1), Embedded(version, OWN[1]), nothing)
            case _:
                for row in own.of_references("aurora", ["ref 1"]):
                    unpublished.publish("aurora", row.id)
                    if number % 2:
                        own.remove("aurora", row.id)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(120)))
    assert len(own.of_references("aurora", ["ref 1"])) <= 1


def test_a_picture_that_an_unpublished_product_shows_is_kept(
    unpublished: UnpublishedProducts, own: OwnProducts, index: IndexStore
) -> None:
    version = publish(index)
    shown = own.put(product(1), Embedded(version, OWN[1]), nothing).row
    put(unpublished, 2, s3_path=shown.s3_path)
    gone: list[str] = []
    own.remove("aurora", shown.id)
    own.forget("aurora", shown.s3_path, lambda: gone.append("the picture"))
    assert gone == []


def test_nobody_is_seen_without_a_tenant_not_by_the_tables_owner_either(
    unpublished: UnpublishedProducts, database: Database, dsn: str
) -> None:
    put(unpublished, 1)
    with database.transaction() as connection:
        assert connection.execute(ROWS).fetchall() == []
    assert database.read(lambda connection: connection.execute(ROWS).fetchall()) == []
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE ROLE builder")
        connection.execute("ALTER TABLE unpublished_products OWNER TO builder")
        connection.execute("SET ROLE builder")
        assert connection.execute(ROWS).fetchall() == []
        connection.rollback()


@pytest.mark.parametrize("tenant", ["", " ", "Aurora", "aurora ", "aurora,boreal", "%", "*", "null", "aurora'--"])
def test_a_tenant_is_a_name_and_nothing_else(unpublished: UnpublishedProducts, database: Database, tenant: str) -> None:
    put(unpublished, 1)
    with database.acting_for(tenant) as connection:
        assert connection.execute(ROWS).fetchall() == []


def test_a_connection_acts_for_nobody_once_its_transaction_is_over(api_dsn: str) -> None:
    with Database(api_dsn, max_connections=1) as database:
        unpublished = UnpublishedProducts(database)
        for name in ("aurora", "boreal"):
            put(unpublished, 1, name)

        def backend(connection: Connection) -> int:
            return connection.info.backend_pid

        backends = set()
        for client in TENANTS * 100:
            with database.transaction() if client is None else database.acting_for(client) as connection:
                backends.add(backend(connection))
                seen = connection.execute(ROWS).fetchall()
            assert seen == ([] if client is None else [(client, "ref 1")])
            assert database.read(lambda c: c.execute(ROWS).fetchall()) == []
            with pytest.raises(ZeroDivisionError), database.acting_for("aurora"):
                raise ZeroDivisionError
        assert len(backends) == 1


def test_all_tables_with_clients_rows_force_their_policies_and_nobody_bypasses_them(
    index: IndexStore, dsn: str
) -> None:
    vectors = {f"product_vectors_{build(index)}"}
    with psycopg.connect(dsn) as connection:
        forced = connection.execute(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity AND relkind = 'r'"
        ).fetchall()
        assert {name for (name,) in forced} == {"fashion_files", "unpublished_products"} | vectors
        rights = "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles"
        role = connection.execute(f"{rights} WHERE rolname = %s".encode(), [API_ROLE]).fetchone()
        assert role == (False, False, False, False, False)
        memberships = "SELECT count(*) FROM pg_auth_members WHERE member = %s::regrole"
        assert connection.execute(memberships, [API_ROLE]).fetchone() == (0,)
        owned = "SELECT count(*) FROM pg_class WHERE relowner = %s::regrole"
        assert connection.execute(owned, [API_ROLE]).fetchone() == (0,)
        definers = "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        # It adds to the audit log, and does nothing else.
        assert connection.execute(definers).fetchall() == [("audit_append",)]


WRITES = {
    "fashion_files": {"INSERT", "UPDATE", "DELETE"},
    "unpublished_products": {"DELETE"},
    "left_behind": {"INSERT", "DELETE"},
    "session_families": {"INSERT", "UPDATE"},
    "refresh_tokens": {"INSERT", "UPDATE"},
    "model_changes": {"INSERT"},
}
"""What the API's role may write of whole rows; of some tables it may write columns. There are no vectors yet."""


def test_the_apis_role_writes_what_the_api_writes_and_makes_nothing(dsn: str, api_dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        granted = connection.execute(
            "SELECT table_name, privilege_type FROM information_schema.role_table_grants "
            "WHERE grantee = %s AND privilege_type <> 'SELECT'",
            [API_ROLE],
        ).fetchall()
        assert {(table, right) for table, rights in WRITES.items() for right in rights} == set(granted)
        columns = connection.execute(
            "SELECT table_name, column_name FROM information_schema.column_privileges "
            "WHERE grantee = %s AND privilege_type = 'UPDATE' "
            "AND table_name IN ('users', 'machines', 'index_versions')",
            [API_ROLE],
        ).fetchall()
    assert set(columns) == {
        ("users", "password_hash"),
        ("machines", "last_used_at"),
        *(("index_versions", name) for name in ("products", "added", "state", "live_at")),
    }
    refused = (
        "CREATE TABLE own (id int)", "CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1", "CREATE ROLE another",
        "ALTER TABLE unpublished_products DISABLE ROW LEVEL SECURITY", "DROP POLICY of_tenant ON unpublished_products",
        "ALTER TABLE fashion_files NO FORCE ROW LEVEL SECURITY", "TRUNCATE fashion_files", "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres", "SELECT open_vectors('fashion_files')", "DELETE FROM users",
        "UPDATE users SET client = 'boreal'", "UPDATE users SET roles = '{admin}'", "DELETE FROM model_changes",
        "UPDATE machines SET client = 'boreal'", "SELECT * FROM audit_log", "DELETE FROM audit_log",
        "UPDATE unpublished_products SET owner = 'boreal'", "UPDATE unpublished_products SET id = 1",
        "INSERT INTO users (username, password_hash, roles) VALUES ('eve', '', '{admin}')",
        f"ALTER ROLE {API_ROLE} BYPASSRLS",
    )  # fmt: skip
    with psycopg.connect(api_dsn, autocommit=True) as connection:
        for statement in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_people_and_programs_log_in_by_the_apis_role_and_the_audit_log_tells_of_it(
    dsn: str, database: Database
) -> None:
    with Database(dsn) as platform:
        CatalogueStore(platform).put_user("luz", "hash", ["curator"], client="aurora", actor="olga")
        secret = b"s" * 32
        MachineStore(platform).add("etl", secret, ["reader"], client=None, lifetime_s=60, actor="olga")
        CatalogueStore(database).rehash("luz", old="another", new="taken")
        CatalogueStore(database).rehash("luz", old="hash", new="better")
        assert (user := CatalogueStore(database).user("luz"))
        assert (user.password_hash, user.client) == ("better", "aurora")
        assert MachineStore(database).admit("etl", secret, address="198.51.100.7")
        sessions, token = SessionStore(database), b"t" * 32
        sessions.begin("luz", token, idle_s=60, lifetime_s=60, address="198.51.100.7")
        assert sessions.revoke(token, "logged out")
        AuditLog(database).append("login_refused", "somebody")
        told = [entry["kind"] for entry in AuditLog(platform).last(10)]
        kinds = ["user_added", "machine_added", "user_changed", "machine_login", "login", "session_revoked"]
        assert told == [*reversed([*kinds, "login_refused"])]
        assert AuditLog(platform).verify().holds


def test_reading_what_is_published_costs_the_same_plans_as_without_policies(
    index: IndexStore, dsn: str, api_dsn: str
) -> None:
    version = publish(index)
    live = index.live()
    assert live
    walk = Plan("graph", len(QUERIES), live.graphs[0], ef=40, look_at=50)
    conditions = ProductFilter(base_colour="Red", article_type=("Shirts", "Tops"), year_from=2000).conditions()
    searches = [
        statements(live, QUERIES[0], walk, (), fetch=20, after=BEGINNING),
        statements(live, QUERIES[0], Plan("exact", 200), conditions, fetch=20, after=BEGINNING),
    ]
    page = sql.SQL("SELECT {} FROM fashion_files WHERE article_type = 'Shirts' AND id > 40 ORDER BY id LIMIT 20")

    def plans(to: str) -> list[str]:
        with psycopg.connect(to, autocommit=True) as connection:
            asked: list[tuple[Any, Any]] = [(page.format(COLUMNS), None), *(search[1] for search in searches)]
            found = []
            for settings, (query, values) in zip([None, *(search[0][0] for search in searches)], asked, strict=True):
                with connection.transaction():
                    if settings:
                        connection.execute(settings)
                    text = query if isinstance(query, bytes) else query.as_string(connection).encode()
                    rows = connection.execute(b"EXPLAIN (COSTS OFF) " + text, values).fetchall()
                    found.append("\n".join(row[0] for row in rows))
            return found

    expected = plans(dsn)
    assert plans(api_dsn) == expected
    assert any(f"product_vectors_{version}_embedding_idx" in plan for plan in expected)


def test_one_who_acts_for_a_client_finds_nothing_of_another_whatever_the_statement_asks(
    unpublished: UnpublishedProducts, database: Database
) -> None:
    row = put(unpublished, 1, "boreal")
    asked = {"owner": "boreal", "id": row.id, "references": ["ref 1"], "after": 0, "limit": 10}
    with database.acting_for("aurora") as connection:
        for name in ("of_id", "of_references", "unpublished", "remove_unpublished"):
            assert rows_of(connection, STATEMENTS[name].format(columns=COLUMNS), asked) == []
    assert unpublished.page("boreal") == [row]
