"""Walks through all products of an index on real graphs: each once, with ties, on every way that the router takes."""

from __future__ import annotations

import numpy as np
import pytest

from catalog.filters import ProductFilter
from catalog.index import BEGINNING, IndexStore, Place, Variety, router
from tests.integration.catalog.indexes import QUERIES, VECTORS, oracle, publish

pytestmark = pytest.mark.integration


def walked(index: IndexStore, query: np.ndarray, *, k: int, after: Place = BEGINNING, **options: object) -> list[int]:
    found: list[int] = []
    while True:
        answer = index.search(query, k, after=after, **options)  # type: ignore[arg-type]
        found += [hit.product_id for hit in answer.hits]
        if not answer.has_more:
            return found
        after = answer.place_after(len(answer.hits) - 1)


def test_a_walk_that_begins_in_a_graph_shows_each_product_once(
    index: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "EXACT_PRODUCTS", 100)
    monkeypatch.setattr(router, "COMPARED_PER_EF", 0)
    publish(index)
    first = index.search(QUERIES[0], 20)
    assert first.route == "graph"
    second = index.search(QUERIES[0], 20, after=first.place_after(19))
    assert second.route == "graph"
    later = index.search(QUERIES[0], 100, after=second.place_after(19))
    assert later.route == "exact"
    for query in QUERIES[:5]:
        found = walked(index, query, k=20)
        assert sorted(found) == list(range(600))
        # Only what a graph passed over is out of its order.
        assert found[40:] == [number for number in oracle(query, list(range(600))) if number not in found[:40]]


def test_equal_scores_are_walked_by_id(index: IndexStore) -> None:
    same = np.repeat(VECTORS[:6], 100, axis=0)
    publish(index, vectors=same)
    found = walked(index, VECTORS[2], k=33)
    assert sorted(found) == list(range(600))
    assert found[:100] == list(range(200, 300))


def test_a_place_may_be_taken_after_any_hit(index: IndexStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "COMPARED_PER_EF", 0)
    for exact in (100, 5_000):
        monkeypatch.setattr(router, "EXACT_PRODUCTS", exact)
        if exact == 100:
            publish(index)
        whole = [hit.product_id for hit in index.search(QUERIES[1], 20).hits]
        answer = index.search(QUERIES[1], 10)
        assert [hit.product_id for hit in index.search(QUERIES[1], 13, after=answer.place_after(6)).hits] == whole[7:]


def test_what_shall_not_be_shown_is_not(index: IndexStore) -> None:
    publish(index)
    best = oracle(QUERIES[0], list(range(600)))
    found = walked(index, QUERIES[0], k=50, after=Place(shown=(best[0], best[99])))
    assert found == [number for number in best if number not in (best[0], best[99])]


def test_near_duplicates_are_shown_once_on_whatever_page(index: IndexStore) -> None:
    vectors = VECTORS.copy()
    vectors[300:] = vectors[:300] + np.float32(0.01) * VECTORS[300:]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    publish(index, vectors=vectors)
    found = walked(index, VECTORS[7], k=40, variety=Variety(hide_duplicates=True))
    assert len(found) == 300
    assert sorted(number % 300 for number in found) == list(range(300))


def test_at_most_so_many_of_a_kind_over_all_pages(index: IndexStore) -> None:
    publish(index)
    answer = index.search(QUERIES[0], 50, variety=Variety(per_article_type=4))
    everything = walked(index, QUERIES[0], k=3, variety=Variety(per_article_type=4))
    assert everything == [hit.product_id for hit in answer.hits]
    assert len(everything) == 4  # All products of this catalogue are of one type.
    assert everything == oracle(QUERIES[0], list(range(600)))[:4]
    assert not answer.is_cut


def test_variety_is_looked_for_within_a_window_and_says_so(index: IndexStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.index.reader.WINDOW", 100)
    publish(index)
    answer = index.search(QUERIES[0], 50, variety=Variety(per_article_type=2))
    assert (len(answer.hits), answer.has_more, answer.is_cut) == (2, False, True)
    filtered = index.search(
        QUERIES[0], 50, variety=Variety(per_article_type=2), filters=ProductFilter(base_colour="None")
    )
    assert (filtered.hits, filtered.is_cut) == ([], False)
