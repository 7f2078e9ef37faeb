"""Ten thousand made-up statements of the API's own role, with none of the API's checks: PostgreSQL lets none through.

The whole suite tries some; `make attacks` tries them all. A failure names its seed.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from catalog.database import Connection, Database, act_for
from catalog.own_products import Embedded, OwnProducts
from catalog.own_rows import OWN as STATEMENTS
from catalog.store import FashionFile
from catalog.unpublished import UnpublishedProducts
from core.names import API_ROLE
from tests.attacks.tenants.statements import READS, WRITES, Statement
from tests.attacks.tenants.world import OWN, TENANTS, World, others_secrets

pytestmark = [pytest.mark.attack, pytest.mark.integration]

SEED = 20261128
NOBODIES = (None, "", " ", "AURORA", "%", "duna")
TELLING = ("22012",)
"""SQLSTATEs that tell of a row which an attack looked for."""


@pytest.fixture(scope="module")
def world(new_world: Callable[[str], World]) -> World:
    return new_world("tenants")


def test_a_thousand_statements_find_and_change_nothing_of_another_client(world: World) -> None:
    assert attacked(world, 1_000, SEED) == {}


@pytest.mark.long_attack
@pytest.mark.timeout(900)
def test_ten_thousand_statements_find_and_change_nothing_of_another_client(world: World) -> None:
    assert attacked(world, 10_000, SEED + 1) == {}


def test_the_attacks_succeed_where_policies_are_switched_off(new_world: Callable[[str], World]) -> None:
    open_world = new_world("without_policies")
    switch_off(open_world)
    found = attacked(open_world, 1_500, SEED)
    assert set(found) == {kind.__name__ for kind in (*READS, *WRITES)}


def test_the_attacks_on_reading_succeed_where_the_policy_lets_all_read(new_world: Callable[[str], World]) -> None:
    open_world = new_world("with_an_open_policy")
    with psycopg.connect(open_world.superuser) as connection:
        connection.execute("CREATE POLICY forgotten ON unpublished_products USING (true)")
    assert {"read_all", "read_by_owner", "delete", "create_hidden"} <= set(attacked(open_world, 400, SEED))


class Forgetful(Database):
    """One that takes no word for whom it acts: as if the API mixed up its requests' clients, or forgot them."""

    tenant: str | None = None

    @contextmanager
    def acting_for(self, tenant: str) -> Iterator[Connection]:
        """For ``self.tenant`` instead."""
        with self.transaction() as connection:
            if self.tenant is not None:
                act_for(connection, self.tenant)
            yield connection


@pytest.mark.parametrize("tenant", ["aurora", None, ""])
def test_the_stores_do_nothing_for_another_client_than_the_transactions(world: World, tenant: str | None) -> None:
    rng = random.Random(SEED)
    with Forgetful(world.api) as database, psycopg.connect(world.superuser, autocommit=True) as eye:
        database.tenant = tenant
        own, unpublished = OwnProducts(database), UnpublishedProducts(database)
        before = world.of_others(eye, tenant)
        for _ in range(100):
            victim = rng.choice(["boreal", "cobre"])
            hidden, shown = rng.choice(world.hidden[victim]), rng.choice(world.shown[victim])
            vector = Embedded(world.version, OWN[0])
            assert unpublished.page(victim) == []
            assert own.of_id(victim, hidden.id) is None
            assert own.of_references(victim, [hidden.reference or ""]) == []
            assert unpublished.change(victim, hidden.id, {"brand": "taken"}) is None
            assert unpublished.publish(victim, hidden.id) is None
            assert unpublished.remove(victim, hidden.id) is None
            assert own.change(victim, shown.id, {"brand": "taken"}) is None
            with pytest.raises(Exception, match="row-level security"):
                unpublished.put(hidden, lambda: None)
            with pytest.raises(Exception, match="row-level security"):
                own.put(shown, vector, lambda: None)
            with pytest.raises(Exception, match="row-level security"):
                own.embed(shown, vector)
            own.remove(victim, shown.id)
            own.follow(world.version)
        assert world.of_others(eye, tenant) == before


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stores' statements without a word of whose product it must be."""
    for name, statement in STATEMENTS.items():
        text = statement.as_string(None).replace("owner = %(owner)s", "%(owner)s::text <> 'nobody'")
        monkeypatch.setitem(STATEMENTS, name, sql.SQL(text))


def reaching(
    own: OwnProducts, unpublished: UnpublishedProducts, tenant: str, hidden: FashionFile, shown: FashionFile
) -> dict[str, Callable[[], object]]:
    """What a curator may try with two products of another client; true if it came through."""
    return {
        "of_id": lambda: own.of_id(tenant, hidden.id),
        "page": lambda: [row for row in unpublished.page(tenant) if row.owner == hidden.owner],
        "change_unpublished": lambda: unpublished.change(tenant, hidden.id, {"brand": "taken"}),
        "change": lambda: own.change(tenant, shown.id, {"brand": "taken"}),
        "publish": lambda: unpublished.publish(tenant, hidden.id),
        "remove_unpublished": lambda: unpublished.remove(tenant, hidden.id),
        "remove": lambda: own.remove(tenant, shown.id),
    }


def reached(world: World, seed: int) -> set[str]:
    """What the stores do to others' products when a curator names them, 300 times."""
    done: set[str] = set()
    rng = random.Random(seed)
    with Database(world.api) as database, psycopg.connect(world.superuser, autocommit=True) as eye:
        own, unpublished = OwnProducts(database), UnpublishedProducts(database)
        for _ in range(300):
            tenant, victim = rng.sample(TENANTS, 2)
            hidden, shown = rng.choice(world.hidden[victim]), rng.choice(world.shown[victim])
            before = world.of_others(eye, tenant)
            attacks = reaching(own, unpublished, tenant, hidden, shown)
            name = rng.choice(list(attacks))
            if attacks[name]() or world.of_others(eye, tenant) != before:
                done.add(name)
    return done


@pytest.mark.usefixtures("unchecked")
def test_statements_that_forgot_whose_products_they_are_about_reach_no_others(world: World) -> None:
    assert reached(world, SEED) == set()


@pytest.mark.usefixtures("unchecked")
def test_the_same_statements_reach_them_where_policies_are_switched_off(new_world: Callable[[str], World]) -> None:
    open_world = new_world("unchecked_and_without_policies")
    switch_off(open_world)
    assert {"of_id", "page", "change", "change_unpublished", "remove"} <= reached(open_world, SEED)


def switch_off(world: World) -> None:
    """Let whoever may use a table use all its rows."""
    with psycopg.connect(world.superuser) as connection:
        for table in ("unpublished_products", "fashion_files", world.vectors):
            connection.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY".encode())


def attacked(world: World, number: int, seed: int) -> dict[str, str]:
    """Kind of attack → how it succeeded first, with the seed that makes it again. Nothing that it does is kept."""
    succeeded: dict[str, str] = {}
    tried: Counter[str] = Counter()
    with psycopg.connect(world.api) as role, psycopg.connect(world.superuser) as eye:
        before = {tenant: world.of_others(eye, tenant) for tenant in (*TENANTS, *NOBODIES)}
        eye.rollback()
        for one in range(seed * 100_000, seed * 100_000 + number):
            rng = random.Random(one)
            kind = rng.choice(READS + WRITES)
            tenant = rng.choice([*TENANTS, *TENANTS, *NOBODIES])
            victim = rng.choice([name for name in TENANTS if name != tenant])
            statement = kind(rng, world, victim)
            how = _read(role, statement, tenant)
            if how is None and kind in WRITES and _written(eye, world, statement, tenant) != before[tenant]:
                how = "it changed what is another's"
            tried[kind.__name__] += 1
            if how:
                succeeded.setdefault(kind.__name__, f"seed {one}: {tenant!r} against {victim}: {how}")
            if len(succeeded) == len(READS + WRITES):
                break
    print(f"{number} statements of {len(tried)} kinds: {dict(tried)}")
    return succeeded


def _read(role: psycopg.Connection, statement: Statement, tenant: str | None) -> str | None:
    """What a statement of the API's role tells of others, in its answer or its error; None if nothing."""
    try:
        _prepare(role, statement, tenant)
        cursor = role.execute(statement.query, statement.values)
        seen = others_secrets(str(cursor.fetchall() if cursor.description else ""), tenant)
        return f"it saw what is {', '.join(sorted(seen))}'s" if seen else None
    except psycopg.Error as error:
        tells = error.sqlstate in TELLING or others_secrets(str(error), tenant)
        return f"an error told: {error}" if tells else None
    finally:
        role.rollback()


def _written(eye: psycopg.Connection, world: World, statement: Statement, tenant: str | None) -> str:
    """What is others' after a statement of the API's role, as its own transaction has it before it is undone."""
    try:
        eye.execute(f"SET LOCAL ROLE {API_ROLE}".encode())
        with contextlib.suppress(psycopg.Error), eye.transaction():
            _prepare(eye, statement, tenant)
            eye.execute(statement.query, statement.values)
        eye.execute("SET LOCAL ROLE NONE")
        return world.of_others(eye, tenant)
    finally:
        eye.rollback()


def _prepare(connection: Connection, statement: Statement, tenant: str | None) -> None:
    if tenant is not None:
        act_for(connection, tenant)
    if statement.before is not None:
        connection.execute(statement.before)
