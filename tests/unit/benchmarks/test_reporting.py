from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import reporting
from benchmarks.reporting import Bar, report, table


def test_bar_is_a_ceiling_or_a_floor_and_is_never_reached_by_what_is_no_number() -> None:
    assert Bar("seconds", 2.0, 2.0).holds
    assert not Bar("seconds", 2.0, 2.1).holds
    assert Bar("speed", 2.0, 2.1, is_floor=True).holds
    assert not Bar("speed", 2.0, 1.9, is_floor=True).holds
    for is_floor in (True, False):
        assert not Bar("speed", 2.0, float("nan"), is_floor=is_floor).holds


def test_table_lines_up_its_columns() -> None:
    assert table(("what", "n"), [("a", 1), ("long", 1000)]).splitlines() == ["what     n", "a        1", "long  1000"]


def test_result_is_printed_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reporting, "RESULTS", tmp_path / "results")
    report("speed", "How fast?\n\nMore.", shown="a table", figures={"x": 1}, bars=[Bar("x", 2, 1)])
    written = json.loads((tmp_path / "results" / "speed.json").read_text())
    assert (written["question"], written["figures"]) == ("How fast?", {"x": 1})
    assert written["bars"] == [{"name": "x", "target": 2, "measured": 1, "holds": True}]
    assert "cores" in written["machine"]
    assert capsys.readouterr().out.splitlines() == ["a table", "holds: x: 1 (at most 2)"]
