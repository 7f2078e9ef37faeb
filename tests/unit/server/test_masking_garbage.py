"""Clients of a confidential round that say or send what makes no sense, and what that costs whom."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from flwr.app import Message

from federation.errors import FederationConfigError
from federation.masking.session import MOST
from federation.wire import lanes_record
from server.errors import QuorumMissed
from server.exchange import ADVERTISING, MASKING, REVEALING, SHARING
from server.selection import wanted_clients
from tests.unit.server.masked import (
    CONFIG,
    EXPECTED,
    NAMES,
    SIZE,
    STATE,
    Market,
    counted,
    learned,
    moved,
    plain_mean,
    play,
    report_of,
)


def test_update_that_is_garbage_is_noticed_in_the_sum_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    """A client that masks with other keys, or sends noise: whose fault it is cannot be told."""
    market = Market(tmp_path)
    honest = market.merchants["boreal"].answer

    def garbage(message: Message) -> Message:
        reply = honest(message)
        array = reply.content.array_records["arrays"]
        noise = np.random.default_rng(0).integers(0, 2**32, SIZE, dtype=np.uint32)
        assert set(array) == {"masked"}
        reply.content["arrays"] = lanes_record(noise)
        return reply

    market.merchants["boreal"].gone = {MASKING: garbage}
    with pytest.raises(QuorumMissed, match=r"The sum's norm is .*; of 5 clipped updates it is 5 at most"):
        play(market)


@pytest.mark.parametrize("stage", [ADVERTISING, SHARING])
def test_client_whose_words_make_no_sense_drops_out(stage: str, tmp_path: Path) -> None:
    market = Market(tmp_path)
    honest = market.merchants["boreal"].answer

    def nonsense(message: Message) -> Message:
        reply = honest(message)
        record = next(iter(reply.content.config_records.values()))
        for key in list(record):
            record[key] = 7
        return reply

    market.merchants["boreal"].gone = {stage: nonsense}
    outcome = play(market)
    assert counted(outcome) == set(NAMES.values()) - {"boreal"}
    assert "boreal: A message of a masked round has no" in outcome.rejections[0]


def test_key_of_low_order_costs_its_owner_the_round_and_nobody_else(tmp_path: Path) -> None:
    """With it, what others agree on with its owner would be no secret; they would refuse, after hours of training."""
    market = Market(tmp_path)
    honest = market.merchants["boreal"].answer

    def weak(message: Message) -> Message:
        reply = honest(message)
        reply.content.config_records["keys"]["mask"] = bytes(32)
        return reply

    market.merchants["boreal"].gone = {ADVERTISING: weak}
    assert counted(play(market)) == set(NAMES.values()) - {"boreal"}


def test_client_that_seals_garbage_stops_the_round_and_is_named_by_all_others(tmp_path: Path) -> None:
    market = Market(tmp_path)
    honest = market.merchants["boreal"].answer

    def garbage(message: Message) -> Message:
        reply = honest(message)
        reply.content.config_records["shares"]["sealed"] = [b"garbage"] * 4
        return reply

    market.merchants["boreal"].gone = {SHARING: garbage}
    with pytest.raises(QuorumMissed, match=r"(The share that was relayed from boreal is not authentic.*){4}"):
        play(market)


def test_client_that_reveals_garbage_neither_stops_the_round_nor_gets_its_victim_blamed(tmp_path: Path) -> None:
    market = Market(tmp_path)
    honest = market.merchants["boreal"].answer

    def garbage(message: Message) -> Message:
        reply = honest(message)
        revealed = reply.content.config_records["revealed"]
        revealed["seeds"] = [bytes(66) if name == "duna" else seed for name, seed in zip(
            cast("list[str]", revealed["survivors"]), cast("list[bytes]", revealed["seeds"]), strict=True
        )]  # fmt: skip
        return reply

    market.merchants["boreal"].gone = {REVEALING: garbage}
    outcome = play(market)
    assert (outcome.attempts, counted(outcome)) == (1, set(NAMES.values()))
    assert np.abs(moved(outcome) - plain_mean(NAMES.values())).max() < 1e-6
    assert report_of(outcome).masking["garbage"] == {"boreal": ["duna"]}
    # Where all that are left are needed, nobody is told apart.
    market = Market(tmp_path / "without")
    market.merchants["boreal"].gone = {REVEALING: garbage}
    honest = market.merchants["boreal"].answer
    market.leave(["aurora", "cobre"], MASKING)
    with pytest.raises(QuorumMissed, match="revealed by one of boreal, duna, espiga, or sealed by duna"):
        play(market)


def test_client_that_trained_on_too_little_is_left_out_of_the_sum(tmp_path: Path) -> None:
    """What a client says of its update is checked as in a robust run."""
    market = Market(tmp_path)
    honest = market.merchants["boreal"].answer

    def lazy(message: Message) -> Message:
        reply = honest(message)
        reply.content.metric_records["metrics"]["num-examples"] = 1
        return reply

    market.merchants["boreal"].gone = {MASKING: lazy}
    outcome = play(market)
    left = set(NAMES.values()) - {"boreal"}
    assert counted(outcome) == left
    assert np.abs(moved(outcome) - plain_mean(left)).max() < 1e-6
    assert "Coverage is below" in outcome.rejections[0]


def test_client_whose_training_diverged_sends_nothing(tmp_path: Path) -> None:
    market = Market(tmp_path)
    poisoned = learned("boreal")
    poisoned["text.weight"][0, 0] = np.nan
    market.merchants["boreal"].learns = lambda name, number: poisoned
    outcome = play(market)
    assert counted(outcome) == set(NAMES.values()) - {"boreal"}
    assert "boreal: Tensor text.weight holds NaN or infinity" in outcome.rejections[0]


def test_one_client_cannot_weigh_more_than_its_clip_norm(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.merchants["boreal"].learns = lambda name, number: learned(name, number, scale=1e6)
    with_it = moved(play(market))
    market = Market(tmp_path / "without")
    market.merchants["boreal"].learns = lambda name, number: {k: np.zeros_like(v) for k, v in STATE.items()}
    assert np.linalg.norm(with_it - moved(play(market))) * 5 <= 1.0 + 1e-4


def test_run_of_too_few_or_too_many_clients_is_refused_before_it_starts() -> None:
    with pytest.raises(FederationConfigError, match="about 2 clients, a confidential one needs 3"):
        wanted_clients(dataclasses.replace(CONFIG, clients="aurora,cobre"), EXPECTED.products)
    many = {f"client-{number}": 1 for number in range(MOST + 1)}
    with pytest.raises(FederationConfigError, match="257 clients, a confidential one has 256 at most"):
        wanted_clients(CONFIG, many)
    assert len(wanted_clients(dataclasses.replace(CONFIG, sample=0.5), many)) == MOST + 1
