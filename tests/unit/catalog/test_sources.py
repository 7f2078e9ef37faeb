"""Sources: the same rows each time, and clear words when there are none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.errors import (
    ColumnsMissing,
    HubUnreachable,
    SourceMissing,
    SourceUnknown,
    SourceUnreadable,
)
from catalog.sources import open_source
from catalog.sources.huggingface import HubSource

MakeCatalogue = Callable[..., Path]


@pytest.mark.parametrize(
    "spec", ["", "dir", "dir:", "s3:bucket", "hf:", "hf:no-owner", "hf:a/b/c", "synthetic:9", "/x"]
)
def test_an_unknown_spec_is_refused_with_those_that_exist(spec: str) -> None:
    with pytest.raises(SourceUnknown, match="dir:PATH"):
        open_source(spec)


def test_a_source_of_no_products_is_refused() -> None:
    with pytest.raises(SourceUnknown, match="at least one"):
        open_source("synthetic", limit=0)


def test_a_missing_folder_table_or_images_folder_is_named(tmp_path: Path, make_catalogue: MakeCatalogue) -> None:
    with pytest.raises(SourceMissing, match="nowhere does not exist"):
        open_source(f"dir:{tmp_path / 'nowhere'}")
    root = make_catalogue(3)
    shutil.rmtree(root / "images")
    with pytest.raises(SourceMissing, match="no folder images"):
        open_source(f"dir:{root}")
    (root / "styles.csv").unlink()
    with pytest.raises(SourceMissing, match=r"has no styles\.csv"):
        open_source(f"dir:{root}")


def test_missing_columns_are_named_as_kaggle_spells_them(make_catalogue: MakeCatalogue) -> None:
    root = make_catalogue(2, header=("id", "gender"))
    with pytest.raises(ColumnsMissing, match="lacks the columns articleType, productDisplayName") as caught:
        open_source(f"dir:{root}")
    assert "masterCategory" in caught.value.hint
    (root / "styles.csv").write_bytes(b"")
    with pytest.raises(ColumnsMissing, match="id, articleType"):
        open_source(f"dir:{root}")


def test_optional_columns_may_be_missing_and_others_are_ignored(make_catalogue: MakeCatalogue) -> None:
    root = make_catalogue(1)
    (root / "styles.csv").write_text("price,articleType,id,productDisplayName\n9,Shirts,1,Shirt\n\n")
    (row,) = open_source(f"dir:{root}")
    assert (row.id, row.article_type, row.product_display_name, row.gender) == ("1", "Shirts", "Shirt", None)
    assert row.image is not None


def test_names_may_hold_unquoted_commas_and_a_byte_order_mark_may_lead(make_catalogue: MakeCatalogue) -> None:
    root = make_catalogue(1)
    table = (root / "styles.csv").read_text().replace("Shirt 0", "Shirt, blue, long")
    (root / "styles.csv").write_text("\ufeff" + table)
    (row,) = open_source(f"dir:{root}")
    assert row.product_display_name == "Shirt, blue, long"


def test_a_table_that_is_no_table_is_said(make_catalogue: MakeCatalogue) -> None:
    root = make_catalogue(1)
    with (root / "styles.csv").open("a") as stream:
        stream.write("x" * 200_000)
    with pytest.raises(SourceUnreadable, match="field larger"):
        open_source(f"dir:{root}")


@pytest.mark.parametrize("bad_id", ["../../etc/passwd", "1/../1", "", "²", "-1"])
def test_an_id_is_never_taken_for_a_path(make_catalogue: MakeCatalogue, bad_id: str) -> None:
    root = make_catalogue(2)
    (root / "styles.csv").write_text(f"id,articleType,productDisplayName\n{bad_id},Shirts,Shirt\n")
    (row,) = open_source(f"dir:{root}")
    assert row.image is None


def test_a_limit_takes_a_seeded_sample_in_the_order_of_the_source(make_catalogue: MakeCatalogue) -> None:
    spec = f"dir:{make_catalogue(40)}"
    sample = [row.row for row in open_source(spec, limit=10, seed=1)]
    assert sample == sorted(sample)
    assert len(sample) == 10
    assert sample == [row.row for row in open_source(spec, limit=10, seed=1)]
    assert sample != [row.row for row in open_source(spec, limit=10, seed=2)]
    source = open_source(spec, limit=99)
    assert (source.expected, len(list(source)), len(list(source)), source.dataset) == (40, 40, 40, "shop")


class FolderHub:
    """A folder in the hub's place."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, dataset: str) -> list[str]:
        return [path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()]

    def fetch(self, dataset: str, file: str) -> Path:
        return self.root / file


@pytest.fixture
def hub(tmp_path: Path) -> FolderHub:
    """Two shards in the form of ashraq/fashion-product-images-small, and files that are none of them."""
    for shard in range(2):
        rows = [
            {
                "id": 10 * shard + n,
                "gender": "Men",
                "articleType": "Shirts",
                "year": 2012.0 if n else None,
                "productDisplayName": f"Shirt {n}",
                "image": {"bytes": b"picture", "path": None} if n else None,
            }
            for n in range(5)
        ]
        path = tmp_path / "hub" / "data" / f"train-0000{shard}-of-00002.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
    (path.parent / "test-00000-of-00001.parquet").write_bytes(b"not looked at")
    (tmp_path / "hub" / "README.md").write_text("A data set.")
    return FolderHub(tmp_path / "hub")


def test_a_hub_data_set_streams_as_rows(hub: FolderHub) -> None:
    source = HubSource("owner/name", limit=None, seed=0, hub=hub)
    rows = list(source)
    assert (source.spec, source.dataset, source.expected, len(rows)) == ("hf:owner/name", "owner/name", 10, 10)
    assert (rows[1].id, rows[1].year, rows[1].image, rows[1].base_colour) == ("1", "2012.0", b"picture", None)
    assert (rows[0].year, rows[0].image) == (None, None)
    assert [row.row for row in rows] == list(range(1, 11))
    assert len(list(HubSource("owner/name", limit=4, seed=0, hub=hub))) == 4


def test_a_hub_data_set_without_shards_columns_or_pictures_is_refused(hub: FolderHub) -> None:
    shards = sorted((hub.root / "data").glob("train*"))
    shards[0].write_bytes(b"damaged")
    with pytest.raises(SourceUnreadable, match="damaged shard"):
        HubSource("owner/name", limit=None, seed=0, hub=hub)
    for columns, missing in ((("id", "image"), "articleType"), (("id", "articleType", "productDisplayName"), "image")):
        for shard in shards:
            pq.write_table(pa.table({column: ["1"] for column in columns}), shard)
        with pytest.raises(ColumnsMissing, match=missing):
            HubSource("owner/name", limit=None, seed=0, hub=hub)
    shutil.rmtree(hub.root / "data")
    with pytest.raises(SourceMissing, match="no parquet files"):
        HubSource("owner/name", limit=None, seed=0, hub=hub)


def test_an_unreachable_hub_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    # The client's own switch: it refuses as it does without a network, and at once.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnreachable, match="owner/name"):
        open_source("hf:owner/name")
