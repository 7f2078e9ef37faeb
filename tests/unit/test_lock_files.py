"""Lock files: each distribution by version and hash, and none that another one names otherwise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
ENTRY = re.compile(r"[a-z0-9][a-z0-9.-]*==[^ ]+( \\\n    --hash=sha256:[0-9a-f]{64})+")


def entries(lock: Path) -> list[str]:
    lines = [line for line in lock.read_text().splitlines() if not line.startswith("#")]
    return re.split(r"\n(?! )", "\n".join(lines))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_pip_takes_no_file_but_those_that_were_locked(lock: Path) -> None:
    found = entries(lock)
    assert len(found) > 20
    assert [entry for entry in found if not ENTRY.fullmatch(entry)] == []
    names = [entry.partition("==")[0] for entry in found]
    assert names == sorted(set(names))
    assert "torch" not in names


def test_what_is_added_for_development_is_not_locked_twice() -> None:
    platform, dev = (
        {entry.partition("==")[0] for entry in entries(ROOT / f"requirements/{name}.lock")}
        for name in ("platform", "dev")
    )
    assert not platform & dev
