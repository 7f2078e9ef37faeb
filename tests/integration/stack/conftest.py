"""One running stack that all tests in here share. It is real: real servers, real files, real ports.

They stand in the order of its life: what is watched comes last, as it promotes the run unasked.
"""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.etl import client_stores, load
from catalog.store import CatalogueStore
from core.settings import ClientBucket
from embedded.layout import Parts
from embedded.stack import Stack
from server.runs import run_federation
from server.stores import open_stores
from tests.integration.stack.shared import CLIENTS, CONFIG, PRODUCTS, Recorder


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """PostgreSQL, Valkey, S3, MLflow, SuperLink, three SuperNodes and the API; Airflow has tests of its own.

    ``stack.settings()`` is what the platform's processes are told, ``stack.client_settings(name)`` what one client's.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tejido-test-") as folder,
        Stack(
            Path(folder),
            CLIENTS,
            parts=Parts(airflow=False),
            tell=lambda event: print(event.text, file=sys.stderr),
        ) as stack,
    ):
        yield stack


@pytest.fixture(scope="package")
def shared_catalogue(stack: Stack, fashion_dir: Path) -> dict[str, Any]:
    """Three hundred real products, published, and partitioned into the clients' buckets."""
    settings = stack.settings()
    clients = json.loads(Path(settings.required("clients_file")).read_text())
    buckets = client_stores(ClientBucket(**client) for client in clients)
    with CatalogueStore(settings.required("postgres_dsn")) as rows:
        return load(
            f"dir:{fashion_dir}", store=open_stores(settings).data, catalogue=rows, clients=buckets, limit=PRODUCTS
        )


@pytest.fixture(scope="package")
def shared_run(stack: Stack, shared_catalogue: dict[str, Any]) -> dict[str, Any]:
    """One federated run on the SuperLink and its SuperNodes."""
    progress = Recorder()
    found = run_federation(stack.settings(), CONFIG, f"manual__{uuid.uuid4().hex}+00:00", progress)
    assert "rounds" in progress.stages
    return found
