"""Buckets of several owners: of an embedded stack, or of any S3 that ``TEJIDO_ATTACKED_CLIENTS_FILE`` names.

That file has the form of ``TEJIDO_CLIENTS_FILE``: a JSON list of {name, endpoint, access_key, secret_key, bucket}, so
the same attacks run against the MinIO of a deployment with its own ``clients.json``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import Bucket
from embedded.layout import Parts
from embedded.stack import Stack
from tests.attacks.storage.owners import CLIENTS, PLATFORM, attacked_buckets


@pytest.fixture(scope="package")
def buckets() -> Iterator[dict[str, Bucket]]:
    """Owner → its bucket with its own keys."""
    if named := attacked_buckets():
        yield named
        return
    parts = Parts(mlflow=False, airflow=False, federation=False, api=False)
    with (
        tempfile.TemporaryDirectory(prefix="tejido-test-") as folder,
        Stack(Path(folder), CLIENTS, parts=parts) as stack,
    ):
        found = {PLATFORM: stack.settings().platform_bucket("data")}
        for name in CLIENTS:
            settings = stack.client_settings(name)
            found[name] = settings.platform_bucket(settings.required("client_bucket"))
        yield found
