"""Fixtures of the acceptance runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """A state folder of its own, with a short path."""
    with tempfile.TemporaryDirectory(prefix="tj-") as folder:
        yield Path(folder)
