"""The API as it is served: a process of its own over a real database, cache, buckets and index."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from catalog.etl import client_stores, load
from catalog.objects import S3ObjectStore
from catalog.store import CatalogueStore
from embedded.layout import Parts
from embedded.stack import Stack
from security.signing_keys import SigningKeys
from tests.attacks.api.target import Target
from tests.integration.api.stacks import PRODUCTS, client_bucket, make_model_and_index, until_ready


@pytest.fixture(scope="package")
def target() -> Iterator[Target]:
    with (
        pytest.MonkeyPatch.context() as environment,
        tempfile.TemporaryDirectory(prefix="tejido-test-") as folder,
    ):
        # Attacks come faster than anybody may search.
        environment.setenv("TEJIDO_SEARCHES_PER_MINUTE", "0")
        with Stack(Path(folder), ("aurora",), parts=Parts(airflow=False, federation=False)) as stack:
            settings = stack.settings()
            with CatalogueStore(settings.required("postgres_dsn")) as catalogue:
                load(
                    "synthetic",
                    store=S3ObjectStore(settings.platform_bucket("data")),
                    catalogue=catalogue,
                    clients=client_stores([client_bucket(settings)]),
                    limit=PRODUCTS,
                )
            make_model_and_index(settings)
            url = settings.required("api_url")
            with httpx.Client(base_url=url, timeout=60) as http:
                until_ready(http)
            keys = SigningKeys(Path(settings.required("signing_key_dir")))
            yield Target(url, keys, psutil.Process(stack.pids["api"]), stack.log("api"))


@pytest.fixture
def anonymous(target: Target) -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(base_url=target.url, timeout=60) as client:
        yield client


@pytest.fixture
def http(target: Target, anonymous: httpx.Client) -> httpx.Client:
    """A client that bears a reader's token."""
    anonymous.headers["Authorization"] = f"Bearer {target.token('reader')}"
    return anonymous
