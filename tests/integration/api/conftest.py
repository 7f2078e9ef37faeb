"""A stack of each module's own, with a catalogue in it: an index made here would be live for everybody."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from catalog.store import CatalogueStore
from security.passwords import hash_password
from tests.integration.api.stacks import PASSWORD, Loaded, signed_in, with_catalogue


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    with with_catalogue() as found:
        with CatalogueStore(found.settings.required("postgres_dsn")) as users:
            users.put_user("ana", hash_password(PASSWORD), ["reader"])
            users.put_user("olga", hash_password(PASSWORD), ["operator"])
        yield found


@pytest.fixture
def http(loaded: Loaded) -> Iterator[httpx.Client]:
    with signed_in(loaded, "ana") as client:
        yield client
