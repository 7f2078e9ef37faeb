from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from federation.errors import NothingToLearn, ShapeError
from federation.evaluation import evaluate_retrieval, first_hits


def unit(rows: int, generator: np.random.Generator) -> NDArray[np.float32]:
    vectors = generator.standard_normal((rows, 8)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def slow_oracle(
    query: NDArray[np.float32], name: int, gallery: NDArray[np.float32], names: list[int]
) -> tuple[float, float, float]:
    """Recall@1, recall@10 and reciprocal rank of one query, by the definition and nothing else."""
    order = sorted(range(len(gallery)), key=lambda i: -float(query @ gallery[i]))
    relevant = {i for i in range(len(gallery)) if names[i] == name}
    first = next((rank for rank, i in enumerate(order[:10], start=1) if i in relevant), None)
    return (
        len(relevant & set(order[:1])) / len(relevant),
        len(relevant & set(order[:10])) / len(relevant),
        1 / first if first else 0.0,
    )


@pytest.mark.parametrize("seed", range(8))
def test_fast_metrics_equal_the_slow_oracle(seed: int) -> None:
    generator = np.random.default_rng(seed)
    gallery = unit(60, generator)
    names = generator.integers(0, 12, 60)
    titles = np.unique(names)
    queries = unit(len(titles), generator)
    found = evaluate_retrieval(queries, titles, gallery, names)
    expected = [slow_oracle(q, int(n), gallery, names.tolist()) for q, n in zip(queries, titles, strict=True)]
    fast = zip(found.recall_at_1_by_query, found.recall_at_10_by_query, found.reciprocal_rank_by_query, strict=True)
    for got, want in zip(fast, expected, strict=True):
        assert got == pytest.approx(want)
    assert (found.gallery, found.queries) == (60, len(titles))
    assert found.recall_at_10 == pytest.approx(np.mean([w[1] for w in expected]))
    assert found.mrr == pytest.approx(np.mean([w[2] for w in expected]))


def test_every_product_of_the_name_is_a_hit_not_one_id() -> None:
    vector = np.array([[1, 0]], np.float32)
    gallery = np.array([[1, 0], [0.9, 0.1], [-1, 0]], np.float32)
    found = evaluate_retrieval(vector, np.array([7]), gallery, np.array([7, 7, 8]))
    assert found.recall_at_10 == 1.0
    assert found.recall_at_1 == 0.5


def test_gallery_smaller_than_ten_is_ranked_whole() -> None:
    generator = np.random.default_rng(0)
    found = evaluate_retrieval(unit(2, generator), np.array([0, 1]), unit(3, generator), np.array([0, 1, 1]))
    assert found.recall_at_10 == 1.0


def test_query_that_no_product_answers_is_refused() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(NothingToLearn):
        evaluate_retrieval(unit(1, generator), np.array([9]), unit(3, generator), np.array([0, 1, 1]))
    with pytest.raises(NothingToLearn):
        evaluate_retrieval(unit(0, generator), np.array([], np.int64), unit(3, generator), np.array([0, 1, 1]))


def test_lengths_that_do_not_match_are_refused() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(ShapeError):
        evaluate_retrieval(unit(2, generator), np.array([0]), unit(3, generator), np.array([0, 1, 1]))


@pytest.mark.parametrize("seed", range(4))
def test_rank_of_the_first_hit_goes_on_where_the_metrics_end(seed: int) -> None:
    generator = np.random.default_rng(seed)
    gallery, names = unit(60, generator), generator.integers(0, 30, 60)
    titles = np.unique(names)
    queries = unit(len(titles), generator)
    found = first_hits(queries, titles, gallery, names)
    for query, title, rank, best in zip(queries, titles, found.rank, found.best, strict=True):
        order = sorted(range(len(gallery)), key=lambda i: -float(query @ gallery[i]))
        assert rank == next(place for place, i in enumerate(order, start=1) if names[i] == title)
        assert best == order[0]
    reciprocal = evaluate_retrieval(queries, titles, gallery, names).reciprocal_rank_by_query
    assert np.where(found.rank <= 10, 1 / found.rank, 0) == pytest.approx(reciprocal)
