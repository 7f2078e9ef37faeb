"""Fixtures that every test may use, and which tests stay together when several processes share them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Before anything imports PyTorch, and for all that tests start: while other tests use the same cores, threads that
# split one small batch spend their time waiting for each other, up to ten times over.
os.environ.setdefault("OMP_NUM_THREADS", "1")
FASHION = Path(__file__).resolve().parents[2] / "shared" / "fashion"


class FoldersTogether(LoadScopeScheduling):  # type: ignore[misc]  # its package is not typed
    """A folder of tests/integration or tests/unit, whose tests share services, is run by one process, in order."""

    def _split_scope(self, nodeid: str) -> str:
        return "/".join(nodeid.split("::")[0].split("/")[:3])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """The way of dealing out tests that pytest-xdist shall use."""
    return FoldersTogether(config, log)


@pytest.fixture(scope="session")
def fashion_dir() -> Path:
    """12,000 real products in Kaggle's layout, which lie beside the checkout and never inside it."""
    if not FASHION.is_dir():
        pytest.skip("the fashion products are not beside this checkout (../shared/fashion)")
    return FASHION
