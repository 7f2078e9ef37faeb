"""The audit log on a real PostgreSQL: it writes itself, has no forks, and stays."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from catalog.audit import AuditTrail
from catalog.audit_log import AUDIT_LOG, AuditLog
from catalog.database import Database
from catalog.machines import MachineStore
from catalog.sessions import SessionStore
from catalog.store import CatalogueStore
from core.settings import Settings
from security.refresh_tokens import at_rest, new_refresh_token
from server.audit_notes import note_refusals

pytestmark = pytest.mark.integration
TIMES: dict[str, Any] = {"idle_s": 3600, "lifetime_s": 43_200, "address": "198.51.100.7"}


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    with Database(dsn) as database:
        yield database


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


def told(log: AuditLog) -> list[tuple[str, str, dict[str, Any]]]:
    """Kind, actor and details, oldest first."""
    return [(entry["kind"], entry["actor"], entry["details"]) for entry in reversed(log.last(1000))]


def test_grants_tell_of_themselves_whoever_makes_them(log: AuditLog, database: Database, dsn: str) -> None:
    users = CatalogueStore(database)
    users.put_user("ana", "hash", ["reader"], actor="olga")
    users.put_user("ana", "hash", ["reader"], actor="olga")
    users.put_user("ana", "other", ["curator"], client="aurora", actor="olga")
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE users SET roles = '{admin}', client = NULL WHERE username = 'ana'")
        connection.execute("DELETE FROM users WHERE username = 'ana'")
        (role,) = connection.execute("SELECT session_user::text").fetchone() or ("",)
    added, changed, by_hand, removed = told(log)
    assert added == ("user_added", "olga", {"user": "ana", "roles": ["reader"]})
    assert changed == (
        "user_changed",
        "olga",
        {"user": "ana", "roles": ["curator"], "client": "aurora", "had_roles": ["reader"], "password": "changed"},
    )
    assert by_hand[:2] == ("user_changed", f"database role {role}")
    assert removed[0] == "user_removed"
    assert log.verify().holds


def test_sessions_tell_of_themselves(log: AuditLog, database: Database) -> None:
    CatalogueStore(database).put_user("ana", "hash", ["reader"])
    store, token = SessionStore(database), at_rest(new_refresh_token())
    family = store.begin("ana", token, **TIMES).family
    assert [one.family for one in store.alive()] == [family]
    assert store.alive("luz") == []
    fresh = at_rest(new_refresh_token())
    store.renew(token, fresh, idle_s=60)
    store.renew(token, at_rest(new_refresh_token()), idle_s=60)
    assert store.alive() == []
    assert told(log)[1:] == [
        ("login", "ana", {"session": family, "address": "198.51.100.7"}),
        ("session_revoked", "ana", {"session": family, "reason": "used"}),
    ]
    store.begin("ana", at_rest(new_refresh_token()), **TIMES)
    assert store.revoke_all("ended by an operator") == 1
    assert told(log)[-1][2]["reason"] == "ended by an operator"


def test_programs_come_in_by_their_secret_until_they_are_removed(log: AuditLog, database: Database) -> None:
    store, secret, late = MachineStore(database), at_rest(new_refresh_token()), at_rest(new_refresh_token())
    assert store.add("nightly", secret, ["curator"], client="aurora", lifetime_s=60, actor="olga") is not None
    assert store.add("nightly", secret, ["reader"], client=None, lifetime_s=60, actor="olga") is None
    admitted = store.admit("nightly", secret, address="198.51.100.7")
    assert admitted is not None
    assert (admitted.roles, admitted.client) == (["curator"], "aurora")
    assert store.admit("nightly", late, address="") is None
    assert store.add("late", late, ["reader"], client=None, lifetime_s=0, actor="olga") is not None
    assert store.admit("late", late, address="") is None
    machines = [(one.name, one.last_used_at is not None) for one in store.machines()]
    assert machines == [("late", False), ("nightly", True)]
    assert store.remove("nightly", actor="olga")
    assert not store.remove("nightly", actor="olga")
    assert store.admit("nightly", secret, address="") is None
    assert [kind for kind, _, _ in told(log)] == ["machine_added", "machine_login", "machine_added", "machine_removed"]
    assert told(log)[1][1:] == ("nightly", {"address": "198.51.100.7"})


def test_champions_and_refused_updates_stand_there(log: AuditLog, database: Database, dsn: str) -> None:
    AuditTrail(database).record(
        "promoted", actor="olga", model_name="fashion-clip", from_version=None, to_version="1", reason="better"
    )
    settings = Settings(_env_file=None, postgres_dsn=dsn)
    result = {
        "run_id": "run-1",
        "rounds": [{"round": 1, "rejections": ["boreal: It holds NaN or infinity."]}, {"round": 2, "rejections": []}],
    }
    note_refusals(settings, result)
    note_refusals(settings, result)
    note_refusals(Settings(_env_file=None), {**result, "run_id": "simulated"})
    assert told(log) == [
        ("model_promoted", "olga", {"model": "fashion-clip", "to": "1", "reason": "better"}),
        ("update_refused", "boreal", {"run": "run-1", "round": 1, "reason": "It holds NaN or infinity."}),
    ]
    assert log.last(5, ["update_refused"])[0]["actor"] == "boreal"


def test_what_is_rolled_back_leaves_no_entry_and_no_gap(log: AuditLog, dsn: str) -> None:
    log.append("login_refused", "nobody")
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO users (username, password_hash, roles) VALUES ('eva', 'hash', '{reader}')")
        connection.rollback()
    log.append("login_refused", "nobody")
    assert [entry["seq"] for entry in log.last(5)] == [2, 1]
    assert log.verify().holds


def test_many_at_once_make_one_chain(log: AuditLog, database: Database) -> None:
    CatalogueStore(database).put_user("ana", "hash", ["reader"])
    store = SessionStore(database)
    tokens = [at_rest(new_refresh_token()) for _ in range(40)]

    def live(token: bytes) -> None:
        store.begin("ana", token, **TIMES)
        store.revoke(token, "logged out")
        store.revoke_of_user("ana", "user replaced")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(live, tokens))
    found = log.verify()
    assert found.holds
    assert found.entries == 81


def test_no_look_into_a_long_log_reads_all_of_it(log: AuditLog, dsn: str) -> None:
    details = "jsonb_build_object('run', 'run-' || n, 'client', 'duna')"
    kinds = "(ARRAY['login', 'login_refused', 'update_refused'])[n % 3 + 1]"
    with psycopg.connect(dsn) as connection:
        connection.execute(f"SELECT audit_append({kinds}, 'ana', {details}) FROM generate_series(1, 20000) n".encode())
    for kind in ("client_added", "client_changed"):
        log.append(kind, "olga", client="duna", revision=1)
    values: dict[str, Any] = {
        "kind": "update_refused", "details": Jsonb({"run": "run-5000"}), "limit": 20,
        "kinds": ["client_added", "client_changed", "update_refused"],
    }  # fmt: skip
    with psycopg.connect(dsn) as connection:
        connection.execute("ANALYZE audit_log")
        for name in ("has", "last", "last_of_kinds"):
            plan = str(connection.execute(sql.SQL("EXPLAIN ") + AUDIT_LOG[name], values).fetchall())
            assert "audit_log_" in plan, plan
            assert "Seq Scan" not in plan, plan
    newest = log.last(3, ["client_added", "client_changed", "update_refused", "client_added", "no such kind"])
    assert [entry["kind"] for entry in newest] == ["client_changed", "client_added", "update_refused"]
    assert [entry["seq"] for entry in log.last(2)] == [20002, 20001]
    log.append_once("client_added", [("olga", {"client": "duna"})], unless={"client": "duna"})
    log.append_once("client_added", [("olga", {"client": "estela"})], unless={"client": "estela"})
    found = log.verify()
    assert (found.holds, found.entries) == (True, 20003)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET entry = '{}'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
def test_what_was_written_stays(log: AuditLog, dsn: str, statement: str) -> None:
    log.append("login_refused", "nobody")
    with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.RaiseException, match="stays"):
        connection.execute(statement)
    assert log.verify().entries == 1


def test_an_owner_who_goes_round_it_is_found_out(log: AuditLog, dsn: str) -> None:
    for _ in range(3):
        log.append("login_refused", "nobody")
    head = log.verify().head
    with psycopg.connect(dsn) as connection:
        connection.execute("ALTER TABLE audit_log DISABLE TRIGGER audit_log_only_grows")
        connection.execute("DELETE FROM audit_log WHERE seq = 3")
    cut = log.verify(head)
    assert log.verify().holds
    assert (cut.holds, cut.broken_at) == (False, None)
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE audit_log SET entry = replace(entry, 'nobody', 'ana') WHERE seq = 2")
    assert log.verify().broken_at == 2
