"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

FASHION = Path(__file__).resolve().parents[2] / "shared" / "fashion"


@pytest.fixture(scope="session")
def fashion_dir() -> Path:
    """12,000 real products in Kaggle's layout, which lie beside the checkout and never inside it."""
    if not FASHION.is_dir():
        pytest.skip("the fashion products are not beside this checkout (../shared/fashion)")
    return FASHION
