"""One running stack that all integration tests share. It is real: real servers, real files, real ports."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.layout import Parts
from embedded.stack import Stack

CLIENTS = ("aurora", "boreal", "cobre")


@pytest.fixture(scope="session")
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


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A state folder for a stack of the test's own; its path is short, as a person's would be."""
    with tempfile.TemporaryDirectory(prefix="tejido-test-") as folder:
        yield Path(folder)
