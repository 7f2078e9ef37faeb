"""Unit tests know no stack: what other tests of this process have told theirs does not reach them."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TEJIDO_")]:
        monkeypatch.delenv(name)
