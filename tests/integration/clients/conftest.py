"""One running stack of two clients, without what rounds would need: clients come, go, and refuse bundles on it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.layout import Parts
from embedded.stack import Stack

CLIENTS = ("aurora", "boreal")


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """PostgreSQL, Valkey, S3, the SuperLink, and two clients."""
    with (
        tempfile.TemporaryDirectory(prefix="tejido-test-") as folder,
        Stack(
            Path(folder),
            CLIENTS,
            parts=Parts(airflow=False, mlflow=False, api=False),
            tell=lambda event: print(event.text, file=sys.stderr),
        ) as stack,
    ):
        yield stack
