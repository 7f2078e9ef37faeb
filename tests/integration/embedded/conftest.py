"""A folder for stacks that a test starts and ends itself."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """Its path is short, as a person's would be."""
    with tempfile.TemporaryDirectory(prefix="tejido-test-") as folder:
        yield Path(folder)
