from __future__ import annotations

import pytest

from core.progress import Everyone, LogProgress, SharedProgress, track


class Recorder:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int | None]] = []

    def update(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        self.told.append((stage, done, total))


def test_tracking_tells_the_start_every_item_and_the_end() -> None:
    seen = Recorder()
    assert list(track("ab", seen, "letters", total=2)) == ["a", "b"]
    assert seen.told == [("letters", 0, 2), ("letters", 1, 2), ("letters", 2, 2), ("letters", 2, 2)]


def test_everyone_is_told() -> None:
    first, second = Recorder(), Recorder()
    Everyone(first, second).update("stage", 1, None)
    assert first.told == second.told == [("stage", 1, None)]


def test_a_log_gets_the_first_and_the_last_line_but_not_every_one(capsys: pytest.CaptureFixture[str]) -> None:
    list(track(range(1000), LogProgress(every_s=60), "rows", total=1000))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "rows: 0 of 1,000"
    assert lines[-1] == "rows: 1,000 of 1,000"
    assert len(lines) <= 3


def test_losing_valkey_never_fails_the_work() -> None:
    nobody = SharedProgress("valkey://127.0.0.1:1", "key", every_s=0)
    assert list(track("ab", nobody, "letters", total=2)) == ["a", "b"]
