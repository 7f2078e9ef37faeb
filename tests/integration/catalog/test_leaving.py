"""A client leaves the database: what it had is gone, what others have stays, unpublished products too."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from catalog.audit_log import AuditLog
from catalog.database import Database
from catalog.errors import ClientRemoved
from catalog.index import IndexStore
from catalog.leaving import Leaving
from catalog.machines import MachineStore
from catalog.own_products import Embedded, OwnProducts
from catalog.publications import Publications
from catalog.sessions import SessionStore, all_of
from catalog.store import CatalogueStore
from catalog.unpublished import UnpublishedProducts
from core.limits import NO_LIMIT, Limit
from core.settings import Settings
from security.refresh_tokens import at_rest, new_refresh_token
from server.membership import admit, bar
from tests.integration.catalog.indexes import VECTORS, publish
from tests.integration.catalog.test_own_products import OWN, nothing, product
from tests.integration.catalog.test_publications import offers

pytestmark = pytest.mark.integration


def test_nothing_of_a_client_is_left_and_nothing_of_another_is_touched(dsn: str) -> None:
    with Database(dsn) as database:
        leaving, unpublished, own = Leaving(database), UnpublishedProducts(database), OwnProducts(database)
        for client in ("aurora", "boreal"):
            CatalogueStore(database).put_user(f"curator-{client}", "hash", ["curator"], client=client)
            secret = at_rest(new_refresh_token())
            MachineStore(database).add(
                f"nightly-{client}", secret, ["curator"], client=client, lifetime_s=60, actor="olga"
            )
            assert unpublished.put(product(1, client=client), nothing)
            assert unpublished.put(product(2, client=client), nothing)
        before = leaving.forget("aurora", actor="olga")
        assert (before.unpublished, before.curators, before.machines) == (2, ("curator-aurora",), ("nightly-aurora",))
        after = leaving.held("aurora")
        assert (after.products, after.unpublished, after.curators, after.machines) == (0, 0, (), ())
        other = leaving.held("boreal")
        assert (other.unpublished, other.curators, other.machines) == (2, ("curator-boreal",), ("nightly-boreal",))
        assert unpublished.page("aurora") == []
        assert len(unpublished.page("boreal")) == 2
        assert own.of_references("aurora", ["1", "2"]) == []
        assert {entry["kind"] for entry in AuditLog(database).last(2)} == {"user_removed", "machine_removed"}


def test_nobody_brings_back_a_product_of_a_removed_client(index: IndexStore, dsn: str, api_dsn: str) -> None:
    version = publish(index)
    with Database(dsn) as database, Database(api_dsn) as api:
        leaving, waves = Leaving(database), Publications(database)
        own, unpublished = OwnProducts(api), UnpublishedProducts(api)
        row = unpublished.put(product(9), nothing)
        assert row
        waves.put_page("aurora", version, offers(1), VECTORS[1:2])
        leaving.bar("aurora")
        # A wave that was under way, and whoever has a program's token: each by its own way.
        deeds: dict[str, Callable[[str], object]] = {
            "wave": lambda client: waves.put_page(client, version, offers(2), VECTORS[2:3]),
            "published": lambda client: own.put(product(3, client=client), Embedded(version, OWN[3]), nothing),
            "unpublished": lambda client: unpublished.put(product(4, client=client), nothing),
            "publishing": lambda client: unpublished.publish(client, row.id),
        }
        for deed in deeds.values():
            with pytest.raises(ClientRemoved, match="aurora was removed"):
                deed("aurora")
        leaving.forget("aurora", actor="olga")
        held = leaving.held("aurora")
        assert (held.products, held.unpublished, held.published, held.vectors[version]) == (0, 0, 0, 0)
        for deed in deeds.values():
            deed("boreal")
        leaving.admit("aurora")
        assert waves.put_page("aurora", version, offers(2), VECTORS[2:3]).written == 1


def test_a_removal_waits_for_whoever_writes_a_product_at_that_moment(dsn: str) -> None:
    insert = """
INSERT INTO unpublished_products (filename, s3_path, dataset, image_sha256, product_display_name, owner, reference)
VALUES ('1.jpg', 's3://data/own/1.jpg', 'curator', 'ab', 'Shirt', 'aurora', '1')
"""
    with Database(dsn) as database, ThreadPoolExecutor(1) as thread:
        leaving = Leaving(database)
        with psycopg.connect(dsn) as writer:
            writer.execute(insert)
            barred = thread.submit(leaving.bar, "aurora")
            time.sleep(0.5)
            assert not barred.done()
            # Another client's does not.
            leaving.bar("boreal")
        barred.result(timeout=10)
        assert leaving.forget("aurora", actor="olga").unpublished == 1
        assert leaving.held("aurora").unpublished == 0


def test_the_api_hears_of_removed_clients_where_it_hears_of_revoked_sessions(dsn: str, api_dsn: str) -> None:
    polled = SessionStore.to_poll(api_dsn)
    try:
        Leaving(dsn).bar("aurora")
        assert polled.revoked(60) == {all_of("aurora")}
        Leaving(dsn).admit("aurora")
        assert polled.revoked(60) == frozenset()
    finally:
        polled.close()


def test_a_client_that_is_enrolled_again_keeps_its_limit_until_it_is_taken_away(dsn: str, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, postgres_dsn=SecretStr(dsn), simulation_dir=tmp_path)
    said: list[Limit] = [None, 5, None, 7, NO_LIMIT, None]
    assert [admit(settings, "aurora", limit=limit) for limit in said] == [None, 5, 5, 7, None, None]
    admit(settings, "aurora", limit=5)
    bar(settings, "aurora")
    assert admit(settings, "aurora", limit=None) is None, "one that was removed comes back as a new one"
