from __future__ import annotations

import numpy as np
import pytest

from federation.comparison import paired_bootstrap
from federation.errors import ShapeError

QUERIES = 400


def recalls(seed: int, level: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return (np.random.default_rng(seed).random(QUERIES) < level).astype(np.float64)


def test_clear_gain_is_better_and_its_interval_lies_above_zero() -> None:
    found = paired_bootstrap(recalls(0, 0.5), recalls(1, 0.2))
    assert found.is_better
    assert 0 < found.lower < found.difference < found.upper


def test_gain_within_chance_is_not_better() -> None:
    before = recalls(0, 0.3)
    after = before.copy()
    after[np.flatnonzero(after == 0)[:2]] = 1
    found = paired_bootstrap(after, before)
    assert found.difference > 0
    assert not found.is_better


def test_same_model_is_not_better_than_itself() -> None:
    same = recalls(0, 0.3)
    found = paired_bootstrap(same, same)
    assert (found.difference, found.lower, found.upper, found.is_better) == (0.0, 0.0, 0.0, False)


def test_pairing_sees_a_small_gain_that_unpaired_noise_would_hide() -> None:
    hard_and_easy = recalls(0, 0.5)
    gain = hard_and_easy + 0.02
    assert paired_bootstrap(gain, hard_and_easy).is_better


def test_interval_matches_plain_resampling() -> None:
    """The slow oracle draws indices, as the textbook does."""
    a, b = recalls(0, 0.5), recalls(1, 0.4)
    generator = np.random.default_rng(7)
    difference = a - b
    means = [difference[generator.integers(0, QUERIES, QUERIES)].mean() for _ in range(4000)]
    lower, upper = np.quantile(means, [0.025, 0.975])
    found = paired_bootstrap(a, b)
    assert found.lower == pytest.approx(lower, abs=0.01)
    assert found.upper == pytest.approx(upper, abs=0.01)


def test_queries_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(ShapeError):
        paired_bootstrap(recalls(0, 0.5), recalls(0, 0.5)[:-1])


def test_more_confidence_needs_a_wider_interval() -> None:
    usual, careful = (paired_bootstrap(recalls(0, 0.5), recalls(1, 0.4), confidence=c) for c in (0.95, 0.995))
    assert careful.lower < usual.lower < usual.upper < careful.upper
