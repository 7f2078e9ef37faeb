"""`tejido catalog plot` on a catalogue in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import cli.catalog.plot as command
from catalog.errors import CatalogueMissing
from catalog.etl import clean_and_split, obtain, partition
from catalog.manifest import LIVE_KEY, manifest_of
from catalog.objects import DirectoryStore
from cli.errors import BadOption
from cli.output import Format


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore:
    """The platform's bucket is a folder, without a catalogue so far."""
    store = DirectoryStore(tmp_path / "data")
    monkeypatch.setattr(command, "platform_settings", lambda state: None)
    monkeypatch.setattr(command, "data_store", lambda settings: store)
    return store


def load(store: DirectoryStore, root: Path) -> None:
    """Make a synthetic catalogue of two clients live."""
    obtain("v1", spec="synthetic", store=store, limit=40, seed=0)
    clean_and_split("v1", store=store)
    clients = {name: DirectoryStore(root / name) for name in ("aurora", "boreal")}
    partition("v1", spec="iid", clients=clients, store=store)
    store.put(LIVE_KEY, manifest_of(store, "v1").to_json())


def test_the_live_partition_is_drawn_and_told(
    store: DirectoryStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(store, tmp_path)
    capsys.readouterr()
    out = tmp_path / "new" / "partition.png"
    command.plot(out, by="season", how=Format.JSON)
    with Image.open(out) as picture:
        assert picture.format == "PNG"
    told = json.loads(capsys.readouterr().out)
    assert (told["by"], told["partition"], told["out"]) == ("season", "iid", str(out))
    assert sum(sum(held.values()) for held in told["clients"].values()) == manifest_of(store, "v1").products("train")


def test_an_unknown_attribute_is_refused_with_the_known_ones(store: DirectoryStore, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="--by") as caught:
        command.plot(tmp_path / "x.png", by="price")
    assert "base_colour" in caught.value.hint


def test_a_file_that_cannot_be_written_is_named(store: DirectoryStore, tmp_path: Path) -> None:
    load(store, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadOption, match=r"x\.png"):
        command.plot(tmp_path / "file" / "x.png")


def test_nothing_is_drawn_where_nothing_is_live(store: DirectoryStore, tmp_path: Path) -> None:
    with pytest.raises(CatalogueMissing):
        command.plot(tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
