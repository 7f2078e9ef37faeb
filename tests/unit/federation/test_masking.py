"""A masked sum is the plain sum, whoever drops out and when."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
import pytest

from federation.config import FederationConfig
from federation.errors import FederationConfigError, UnmaskingFailed
from federation.masking.session import threshold_of
from federation.privacy.clipping import clip
from federation.privacy.noise import noise_of_each
from tests.unit.federation.masking import (
    NAMES,
    PRIVATE,
    SHAPES,
    STAGES,
    drawn,
    flat,
    play,
    rms,
)

UPDATES = {name: drawn(number) for number, name in enumerate(NAMES)}
DROPOUTS = [
    *({},),
    *({name: stage} for stage in STAGES for name in NAMES),
    *(
        {a: s, b: t}
        for s, t in itertools.product(STAGES, repeat=2)
        for a, b in (("aurora", "duna"), ("espiga", "cobre"))
    ),
]
"""Nobody; each alone at each stage; two at each pair of stages."""


def left(gone: Mapping[str, str], stage: str) -> int:
    return sum(name not in gone or STAGES.index(gone[name]) > STAGES.index(stage) for name in NAMES)


@pytest.mark.parametrize("gone", DROPOUTS, ids=str)
def test_masked_sum_equals_the_plain_sum_of_the_clipped_updates(gone: dict[str, str]) -> None:
    """With 0, 1 and 2 of 5 gone, at every stage: three are always left, and three are enough."""
    played = play(UPDATES, gone)
    assert len(played.survivors) == left(gone, "mask")
    plain = sum(flat(clip(UPDATES[name], 1.0 - 1e-5)) for name in played.survivors)
    found = flat(played.grid.decode(played.total, like=UPDATES["aurora"]))
    assert rms(found - plain) < 1e-6
    assert rms(played.total.view(np.int32) * played.grid.step - plain) < 2e-8
    # And of what was rounded, it is the sum to the last bit.
    exact = sum((played.terms[name] for name in played.survivors), np.zeros_like(played.total))
    np.testing.assert_array_equal(played.total, exact)


@pytest.mark.parametrize("stage", STAGES)
def test_three_of_five_gone_leave_nothing_but_masks(stage: str) -> None:
    with pytest.raises(UnmaskingFailed, match="3 are needed"):
        play(UPDATES, dict.fromkeys(NAMES[:3], stage))


def test_what_is_relayed_tells_nothing_of_a_term() -> None:
    """Bytes are uniform by chi squared, and neither equal to nor correlated with a term or its tensors."""
    played = play(UPDATES, {"boreal": "mask"})
    for name, masked in played.masked.items():
        counts = np.bincount(masked.view(np.uint8), minlength=256)
        expected = masked.nbytes / 256
        # 255 degrees of freedom: 382 is exceeded by chance once in a million.
        assert np.square(counts - expected).sum() / expected < 382
        for term in played.terms.values():
            assert (masked == term).mean() < 1e-3
            correlation = np.corrcoef(masked.view(np.int32).astype(float), term.view(np.int32).astype(float))[0, 1]
            assert abs(correlation) < 5 / math.sqrt(masked.size), name


def test_masks_of_two_attempts_have_nothing_in_common() -> None:
    first, second = play(UPDATES), play(UPDATES)
    np.testing.assert_array_equal(first.total, second.total)
    for name in NAMES:
        assert (first.masked[name] == second.masked[name]).mean() < 1e-3


def test_noise_of_all_but_one_survivor_is_as_wide_as_declared() -> None:
    """Each client knows its own noise; of the fewest that a sum may have, the others' is left."""
    threshold = threshold_of(5)
    each = noise_of_each(PRIVATE, terms=threshold)
    assert each * math.sqrt(threshold - 1) == pytest.approx(2.0 * 0.5)
    still = {name: {k: np.zeros(shape, np.float32) for k, shape in SHAPES.items()} for name in NAMES}
    for gone in ({}, {"aurora": "mask", "duna": "mask"}):
        played = play(still, gone, bound=0.5, noise_std=each)
        found = played.total.view(np.int32) * played.grid.step
        assert found.std() == pytest.approx(each * math.sqrt(len(played.survivors)), rel=0.04)
        assert found.mean() == pytest.approx(0, abs=5 * found.std() / math.sqrt(found.size))
        assert np.linalg.norm(found) <= played.grid.longest(len(played.survivors), found.size)


ROBUST = ("krum", "multikrum", "bulyan", "fedmedian", "fedtrimmedavg", "fedcosine", "fednova")
REFUSED = [*({"strategy": name} for name in ROBUST), {"encoding": "int8"}, {"encoding": "fp16"}, {"mode": "secret"}]


@pytest.mark.parametrize("changes", REFUSED, ids=str)
def test_what_needs_to_see_an_update_is_refused(changes: dict[str, str]) -> None:
    (name, value) = next(iter(changes.items()))
    with pytest.raises(FederationConfigError, match=f"{name} is '{value}'"):
        FederationConfig(**{"preset": "tiny", "mode": "confidential", **changes})  # type: ignore[arg-type]


def test_confidential_run_needs_three_updates_that_count_alike() -> None:
    config = FederationConfig(preset="tiny", mode="confidential", strategy="fedadam", encoding_down="fp16")
    assert (config.clients_needed, config.replies_needed(4), config.update_bound) == (3, 3, 1.0)
    assert config.counts_alike
    assert not config.is_private
