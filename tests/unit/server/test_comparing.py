"""Two models side by side: figures with intervals, examples that moved, and a page that fetches nothing."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from catalog.objects import DirectoryStore
from catalog.product import Product
from catalog.shards import write_shards
from federation.evaluation import FirstHits
from federation.features import Activations, ProductFeatures
from server.comparing import compared
from server.comparison_report import report_html
from server.movements import movements
from server.thumbnails import SIDE, thumbnails
from tests.unit.server.test_judgement import CLIENTS, answered, retrieval

CATEGORIES = {"sub_category": {"Shoes": np.arange(0, 40), "Bags": np.arange(40, 45)}}


def gallery(titles: list[str], names: list[int]) -> ProductFeatures:
    """Products 100, 101, … that bear these titles."""
    ids = np.arange(100, 100 + len(names))
    return ProductFeatures(ids, tuple(titles), np.array(names), (Activations([]),), Activations([]))


def hits(ranks: list[int], best: list[int]) -> FirstHits:
    return FirstHits(np.array(ranks), np.array(best))


PRODUCTS = gallery(["red shoe", "blue bag", "<script>alert(1)</script>"], [0, 0, 1, 2])
QUERIES: NDArray[np.int64] = np.array([0, 1, 2])


def result(**changes: Any) -> dict[str, Any]:
    """What `compare` hands to the report."""
    a, b = retrieval(answered(1, 0.3)), retrieval(answered(0, 0.6))
    moved = movements(hits([200, 3, 5], [2, 0, 0]), hits([1, 9, 5], [0, 3, 0]), PRODUCTS, QUERIES, shown=5)
    known = {"aliases": ["champion"], "run_id": "r", "preset": "tiny", "note": ""}
    return {
        "a": {"version": "1", **known},
        "b": {"version": "2", **known, "note": "trained on <b>another</b> catalogue"},
        "catalogue": {"version": "v1", "gallery": 4, "queries": 3},
        **compared(a, b, clients=CLIENTS, categories=CATEGORIES),
        "moved": moved.as_dict(),
    } | changes


def test_a_difference_above_zero_is_a_gain_of_the_second() -> None:
    worse, better = retrieval(answered(1, 0.3)), retrieval(answered(0, 0.6))
    found = compared(worse, better, clients=CLIENTS, categories=CATEGORIES)
    assert [row["metric"] for row in found["metrics"]] == ["recall@1", "recall@10", "MRR@10"]
    for row in found["metrics"]:
        assert row["difference"] == pytest.approx(row["b"] - row["a"])
        assert 0 < row["lower"] < row["difference"] < row["upper"]
        assert row["verdict"] == "better"
    back = compared(better, worse, clients=CLIENTS, categories=CATEGORIES)
    assert {row["verdict"] for row in back["metrics"]} == {"worse"}
    same = compared(better, better, clients=CLIENTS, categories=CATEGORIES)
    assert {row["verdict"] for row in same["metrics"]} == {"within chance"}


def test_groups_are_judged_with_their_number_of_queries_and_small_ones_told_apart() -> None:
    found = compared(retrieval(answered(1, 0.3)), retrieval(answered(0, 0.6)), clients=CLIENTS, categories=CATEGORIES)
    (shoes,) = found["categories"]["sub_category"]["judged"]
    assert (shoes["name"], shoes["queries"]) == ("Shoes", 40)
    assert found["categories"]["sub_category"]["too_few"] == {"Bags": 5}
    assert [row["name"] for row in found["clients"]["judged"]] == sorted(CLIENTS)


def test_queries_that_moved_furthest_are_shown_with_all_their_products_and_what_each_model_found() -> None:
    moved = movements(hits([200, 3, 5], [2, 0, 0]), hits([1, 9, 5], [0, 3, 0]), PRODUCTS, QUERIES, shown=5)
    (up,), (down,) = moved.up, moved.down
    assert (up.title, up.product_ids, up.rank_a, up.rank_b) == ("red shoe", (100, 101), 200, 1)
    assert (up.best_a.id, up.best_a.title) == (102, "blue bag")
    assert (down.title, down.rank_a, down.rank_b) == ("blue bag", 3, 9)
    assert moved.counts == {"up": 1, "down": 1, "same": 1}
    assert moved.pictured == [100, 102, 103]


def test_rank_one_is_worth_more_than_many_ranks_far_down() -> None:
    products = gallery(["far", "near"], [0, 1])
    moved = movements(hits([900, 40], [0, 0]), hits([300, 1], [0, 0]), products, np.array([0, 1]), shown=1)
    assert [movement.title for movement in moved.up] == ["near"]


class Page(HTMLParser):
    """Collects what a page would fetch, its tags and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_report_fetches_nothing_and_runs_nothing() -> None:
    page = report_html(result(), {100: "data:image/jpeg;base64,AAAA"})
    found = Page(page)
    assert found.fetched
    assert all(address.startswith("data:image/jpeg;base64,") for address in found.fetched)
    assert not {"script", "link", "iframe", "object", "b"} & set(found.tags)
    assert not re.search(r"url\(|@import|https?:", page)
    assert "default-src 'none'" in page


def test_report_says_everything_and_escapes_what_merchants_wrote() -> None:
    found = Page(report_html(result(), {}))
    for said in ("Version 2 (champion) against version 1", "<script>alert(1)</script>", "blue bag", "aurora", "Shoes"):
        assert said in found.text
    assert "Too few queries to judge: Bags 5." in found.text
    assert "trained on <b>another</b> catalogue" in found.text


def test_report_of_a_first_model_and_without_clients_or_movement_is_whole() -> None:
    nothing: dict[str, Any] = {"judged": [], "too_few": {}}
    first: dict[str, Any] = {
        "version": "zero-shot",
        "aliases": [],
        "run_id": None,
        "preset": None,
        "note": "before any training",
    }
    moved = {"up": [], "down": [], "counts": {"up": 0, "down": 0, "same": 3}}
    found = Page(report_html(result(a=first, clients=nothing, categories={}, moved=moved), {}))
    assert "against zero-shot" in found.text
    assert "Clients" not in found.text


def product(number: int, image: bytes) -> Product:
    return Product(
        id=number, filename=f"{number}.jpg", gender=None, master_category=None, sub_category=None, article_type=None,
        base_colour=None, season=None, usage=None, year=None, product_display_name="x", image=image, image_sha256="0",
    )  # fmt: skip


def test_thumbnails_are_small_and_only_their_shards_are_fetched(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (600, 800), (10, 200, 30, 255)).save(stream, "PNG")
    images = [stream.getvalue()] * 3 + [b"no picture"]
    store = DirectoryStore(tmp_path)
    shards = write_shards(store, "test", [product(n, image) for n, image in enumerate(images)], rows_per_shard=1)
    store.delete(shards[0].key)
    found = thumbnails(store, shards, [0, 1, 2, 3], [1, 3])
    assert set(found) == {1}
    picture = Image.open(io.BytesIO(base64.b64decode(found[1].partition(",")[2])))
    assert picture.format == "JPEG"
    assert max(picture.size) == SIDE
    assert len(found[1]) < 4000
