"""What a user gets who asks for what cannot work: one clear error, quickly, and nothing started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.runs import processes_of, run

pytestmark = pytest.mark.acceptance


@pytest.fixture
def unreadable(tmp_path: Path) -> Path:
    """A catalogue whose styles.csv lacks columns."""
    (tmp_path / "images").mkdir()
    (tmp_path / "styles.csv").write_text("id,colour\n1,red\n")
    return tmp_path


def refused(state: Path, *arguments: object) -> str:
    """What `tejido demo` says when it refuses; nothing may be left running."""
    ended = run("demo", *arguments, "--state", state, "--exit", timeout_s=60)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert processes_of(state) == []
    return ended.stderr


def test_a_missing_directory_is_named(state: Path) -> None:
    assert "/does/not/exist" in refused(state, "--source", "dir:/does/not/exist")


def test_missing_columns_are_named(state: Path, unreadable: Path) -> None:
    assert "productDisplayName" in refused(state, "--source", f"dir:{unreadable}")


def test_an_unknown_kind_of_source_is_refused(state: Path) -> None:
    assert "ftp:somewhere" in refused(state, "--source", "ftp:somewhere")


@pytest.mark.parametrize("option", ["--clients", "--rounds", "--products"])
def test_zero_is_refused(state: Path, option: str) -> None:
    assert f"{option} is 0" in refused(state, option, 0)


def test_an_unknown_partition_is_refused(state: Path) -> None:
    assert "weekday" in refused(state, "--partition", "weekday")


def test_an_unknown_preset_is_refused(state: Path) -> None:
    assert "enormous" in refused(state, "--preset", "enormous")


@pytest.mark.timeout(300)
def test_a_catalogue_of_broken_pictures_ends_with_the_reasons_and_publishes_nothing(
    state: Path, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    lines = ["id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"]
    for number in range(1, 21):
        (tmp_path / "images" / f"{number}.jpg").write_bytes(b"\xff\xd8\xff no picture")
        lines.append(f"{number},Men,Apparel,Topwear,Tshirts,Blue,Summer,2012,Casual,Broken shirt {number}")
    (tmp_path / "styles.csv").write_text("\n".join(lines))
    ended = run("demo", "--source", f"dir:{tmp_path}", "--clients", 1, "--state", state, "--exit", timeout_s=240)
    assert ended.returncode == 1
    assert "catalog_etl.clean_and_split failed (try 1)" in ended.stderr
    assert "20 of 20 products rejected (image_unreadable 20)" in ended.stderr
    assert "catalog.empty" in ended.stderr
    assert not (state / "s3" / "platform" / "data" / "manifest.json").exists()
    assert processes_of(state) == []
