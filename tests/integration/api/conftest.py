"""A stack of each module's own, with a catalogue in it: an index made here would be live for everybody."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from catalog.etl import client_stores, load
from catalog.objects import S3ObjectStore
from catalog.store import CatalogueStore
from embedded.layout import Parts
from embedded.stack import Stack
from security.passwords import hash_password
from tests.integration.api.stacks import PASSWORD, PRODUCTS, Loaded, client_bucket, signed_in


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    with (
        tempfile.TemporaryDirectory(prefix="tejido-test-") as folder,
        Stack(Path(folder), ("aurora",), parts=Parts(airflow=False, federation=False)) as stack,
    ):
        settings = stack.settings()
        with CatalogueStore(settings.required("postgres_dsn")) as catalogue:
            load(
                "synthetic",
                store=S3ObjectStore(settings.platform_bucket("data")),
                catalogue=catalogue,
                clients=client_stores([client_bucket(settings)]),
                limit=PRODUCTS,
            )
            catalogue.put_user("ana", hash_password(PASSWORD), ["reader"])
            catalogue.put_user("olga", hash_password(PASSWORD), ["operator"])
        yield Loaded(stack, settings)


@pytest.fixture
def http(loaded: Loaded) -> Iterator[httpx.Client]:
    with signed_in(loaded, "ana") as client:
        yield client
