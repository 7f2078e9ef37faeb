"""A confidential round as the coordinator plays it: who may drop out when, and what comes of it."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation.privacy.clipping import clip
from server.errors import QuorumMissed
from server.exchange import ADVERTISING, MASKING, REVEALING, SHARING
from server.memory import Memory
from server.reports import RoundReport
from server.run_views import clients_of
from tests.unit.server.federation import crashing, empty, refusing, silent
from tests.unit.server.masked import (
    CONFIG,
    NAMES,
    STAGES,
    STATE,
    Market,
    counted,
    flat,
    learned,
    moved,
    plain_mean,
    play,
    report_of,
)

PAIRS = list(itertools.combinations(NAMES.values(), 2))


@pytest.mark.parametrize("how", [crashing, silent, refusing, empty], ids=lambda how: how.__name__)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_round_takes_the_mean_of_the_clipped_updates_whoever_drops_out_where(
    lost: int, stage: str, how: Any, tmp_path: Path
) -> None:
    """0, 1 and 2 of 5, at every stage, in every way; the mean is taken times the clients: the bar is for the sum."""
    gone = list(NAMES.values())[2 : 2 + lost]
    market = Market(tmp_path)
    market.leave(gone, stage, how)
    outcome = play(market)
    left = {name for name in NAMES.values() if name not in gone or stage == REVEALING}
    assert counted(outcome) == left
    # The state is float32, and about one: what is added to it is rounded at 6e-8.
    error = (moved(outcome) - plain_mean(left)) * len(left)
    assert np.sqrt(np.square(error).mean()) < 1e-6
    assert (outcome.attempts, outcome.total.replies) == (1, len(left))


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_any_two_may_drop_out_at_different_stages(pair: tuple[str, str], tmp_path: Path) -> None:
    for number, (first, second) in enumerate(itertools.product(STAGES, repeat=2)):
        market = Market(tmp_path / str(number))
        market.leave(pair[:1], first)
        market.leave(pair[1:], second)
        outcome = play(market)
        left = set(NAMES.values()) - {n for n, s in zip(pair, (first, second), strict=True) if s != REVEALING}
        assert counted(outcome) == left
        assert np.abs(moved(outcome) - plain_mean(left)).max() < 1e-6


@pytest.mark.parametrize("stage", STAGES)
def test_round_that_falls_below_the_threshold_is_tried_again_with_fresh_keys(stage: str, tmp_path: Path) -> None:
    """Three of five are gone in the first attempt, and back in the second."""
    market = Market(tmp_path)
    market.leave(list(NAMES.values())[:3], stage)
    look = market.grid.on_look

    def back(times: int) -> None:
        look(times)
        if any(kind == stage for kind in market.grid.sent_kinds):
            for merchant in market.merchants.values():
                merchant.gone.clear()

    market.grid.on_look = back
    outcome = play(market, dataclasses.replace(CONFIG, round_retries=1))
    assert (outcome.attempts, counted(outcome)) == (2, set(NAMES.values()))
    assert np.abs(moved(outcome) - plain_mean(NAMES.values())).max() < 1e-6
    assert outcome.rejections
    assert all(reason.startswith("attempt 1: ") for reason in outcome.rejections)
    keys = [reply.content.config_records["keys"]["mask"] for _, reply in market.received if "keys" in reply.content]
    assert len(set(keys)) == len(keys) >= 7


@pytest.mark.parametrize("stage", STAGES)
def test_round_without_enough_clients_fails_and_leaves_nothing_in_the_sum(stage: str, tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.leave(list(NAMES.values())[:3], stage)
    with pytest.raises(QuorumMissed, match=r"0 of 5 updates count, 3 are needed.*3 are needed"):
        play(market, dataclasses.replace(CONFIG, round_retries=1))
    # Two attempts, and not a third.
    assert market.grid.sent(ADVERTISING) == [1, 2, 3, 4, 5] * 2


def test_clients_that_cannot_go_on_are_not_asked_to_train(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.leave(list(NAMES.values())[:3], SHARING)
    with pytest.raises(QuorumMissed, match="not asked further: 2 clients have shared, 3 are needed"):
        play(market)
    assert market.grid.sent(MASKING) == []


def test_quorum_counts_in_the_threshold(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.leave(["aurora"], MASKING)
    with pytest.raises(QuorumMissed, match="4 clients have masked, 5 are needed"):
        play(market, dataclasses.replace(CONFIG, quorum=1.0))


def test_report_says_who_dropped_out_at_which_stage(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.leave(["duna"], SHARING)
    market.leave(["boreal"], REVEALING)
    outcome = play(market)
    masking = outcome.total.masking
    numbers = {name: masking[name] for name in ("threshold", "advertised", "shared", "masked", "revealed")}
    assert numbers == {"threshold": 3, "advertised": 5, "shared": 4, "masked": 4, "revealed": 3}
    assert masking["dropped"] == {
        "duna": "shares: failed: it crashed", "boreal": "reveal: failed: it crashed",
    }  # fmt: skip
    # boreal's update is in the sum, and counts.
    fates = {name: found.fate for name, found in outcome.total.contributions.items()}
    assert fates == dict.fromkeys(NAMES.values(), "accepted") | {"duna": "rejected"}
    report = report_of(outcome)
    assert {client.name: client.fate for client in clients_of(report)} == fates
    assert RoundReport.from_dict(report.as_dict()) == report
    assert report.contributions["aurora"]["norm"] is None
    assert report.norms == {}


def test_noise_is_in_the_sum_when_it_is_unmasked_and_is_added_once(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, privacy="client-level", clip_norm=0.5, noise_multiplier=2.0)
    market = Market(tmp_path)
    for merchant in market.merchants.values():
        merchant.learns = lambda name, number: {k: np.zeros_like(v) for k, v in STATE.items()}
    market.leave(["cobre", "duna"], MASKING)
    change = moved(play(market, config))
    # Three are left, the fewest that could be: what two of them added is as wide as the run declares.
    assert change.std() * 3 / math.sqrt(3 / 2) == pytest.approx(2.0 * 0.5, rel=0.05)


def test_several_rounds_and_an_optimiser_work_as_in_a_robust_run(tmp_path: Path) -> None:
    market = Market(tmp_path)
    rounds = market.rounds(dataclasses.replace(CONFIG, strategy="fedavgm"))
    state = STATE
    for number in (1, 2):
        state = rounds.play(state, Memory(), round_number=number).total.new_state()
    first, second = (np.mean([flat(clip(learned(n, r), 1 - 1e-5)) for n in NAMES.values()], axis=0) for r in (1, 2))
    momentum = CONFIG.server_momentum
    assert np.abs(flat(state) - flat(STATE) - (first + momentum * first + second)).max() < 2e-6
