"""A client leaves the database: what it had is gone, what others have stays, unpublished products too."""

from __future__ import annotations

import pytest

from catalog.audit_log import AuditLog
from catalog.database import Database
from catalog.leaving import Leaving
from catalog.machines import MachineStore
from catalog.own_products import OwnProducts
from catalog.store import CatalogueStore
from catalog.unpublished import UnpublishedProducts
from security.refresh_tokens import at_rest, new_refresh_token
from tests.integration.catalog.test_own_products import nothing, product

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
