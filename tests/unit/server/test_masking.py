"""A confidential round as the coordinator plays it: who may drop out when, what it learns, what it never receives."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import structlog
from flwr.app import Message

from federation.config import FederationConfig
from federation.errors import FederationConfigError
from federation.evaluation import Retrieval
from federation.masking.grid import SumGrid
from federation.masking.session import MOST, threshold_of
from federation.privacy.clipping import clip
from federation.tensors import Tensors
from federation.wire import lanes_record, unpack_lanes
from server.errors import QuorumMissed
from server.exchange import ADVERTISING, MASKING, REVEALING, SHARING
from server.memory import Memory
from server.reports import RoundReport, round_report
from server.rounds import Outcome
from server.run_views import clients_of
from server.selection import wanted_clients
from tests.unit.server.federation import crashing, empty, refusing, silent
from tests.unit.server.masked import CONFIG, EXPECTED, NAMES, STAGES, STATE, Market, learned

SIZE = sum(array.size for array in STATE.values())
PAIRS = list(itertools.combinations(NAMES.values(), 2))


def play(market: Market, config: FederationConfig = CONFIG, *, round_number: int = 1) -> Outcome:
    return market.rounds(config).play(STATE, Memory(), round_number=round_number)


def flat(tensors: Tensors) -> np.ndarray:
    return np.concatenate([tensors[name].ravel().astype(np.float64) for name in sorted(tensors)])


def plain_mean(names: Any, *, clip_norm: float = 1.0) -> np.ndarray:
    """Of the clipped updates of these clients, all alike."""
    return np.asarray(np.mean([flat(clip(learned(name), clip_norm * (1 - 1e-5))) for name in names], axis=0))


def moved(outcome: Outcome) -> np.ndarray:
    return np.asarray(flat(outcome.total.new_state()) - flat(STATE))


def counted(outcome: Outcome) -> set[str]:
    return {name for name, found in outcome.total.contributions.items() if found.fate == "accepted"}


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


def report_of(outcome: Outcome) -> RoundReport:
    value = np.ones(1)
    val = Retrieval(1, value, value, value)
    return round_report(1, outcome, val, recall_by_client={}, seconds=1.0, evaluation_s=0.0)


# What the coordinator receives --------------------------------------------------------------------------------------


GRID = SumGrid.of(CONFIG, participants=5, threshold=threshold_of(5))
TERMS = {name: GRID.encode(learned(name)) for name in NAMES.values()}
"""What each client masks in the first round."""


def arrived(market: Market) -> list[tuple[str, np.ndarray]]:
    """The updates that the coordinator received."""
    replies = [(name, reply.content.array_records.get("arrays")) for name, reply in market.received]
    return [(name, unpack_lanes(arrays, size=SIZE)) for name, arrays in replies if arrays is not None]


def shows(lanes: np.ndarray, term: np.ndarray) -> bool:
    """Whether numbers equal a client's, or go with them. A value equals by chance once in 2^32."""
    together = np.corrcoef(lanes.view(np.int32).astype(float), term.view(np.int32).astype(float))[0, 1]
    return bool((lanes == term).any() or abs(together) > 5 / math.sqrt(SIZE))


def is_uniform(lanes: np.ndarray) -> bool:
    """Of its bytes, by chi squared: with 255 degrees of freedom 382 is exceeded by chance once in a million."""
    expected = lanes.nbytes / 256
    counts = np.bincount(np.frombuffer(lanes.tobytes(), np.uint8), minlength=256)
    return bool(np.square(counts - expected).sum() / expected < 382)


def plain_bytes(name: str) -> list[bytes]:
    """Eight values in a row of what a client learned: as learned, as clipped, as rounded."""
    update = learned(name)
    forms = [TERMS[name], *(flat(form).astype(np.float32) for form in (update, clip(update, 1 - 1e-5)))]
    return [form[100:108].tobytes() for form in forms]


def test_coordinator_never_receives_an_update_and_its_log_holds_none(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.leave(["boreal"], REVEALING)
    market.leave(["cobre"], MASKING)
    with structlog.testing.capture_logs() as lines:
        outcome = play(market)
    assert counted(outcome) == set(NAMES.values()) - {"cobre"}
    seen = arrived(market)
    assert {name for name, _ in seen} == counted(outcome)
    for _, masked in seen:
        assert is_uniform(masked)
        assert not any(shows(masked, term) for term in TERMS.values())
    # Nor does any part of the sum show one: every client shares a mask with every other.
    for several in (group for size in (2, 3) for group in itertools.combinations([lanes for _, lanes in seen], size)):
        assert is_uniform(sum(several[1:], several[0]))
        assert is_uniform(several[0] - several[1])
    received = b"".join(dump(reply) for _, reply in market.received)
    assert not any(plain in received for name in NAMES.values() for plain in plain_bytes(name))
    told = repr(lines)
    values = {f"{value:.4g}" for name in NAMES.values() for value in flat(learned(name))[:300]}
    assert not any(value in told for value in values if len(value) > 6)


def test_the_scan_would_find_an_update_that_is_not_masked(tmp_path: Path) -> None:
    """Guards the test above."""
    market = Market(tmp_path)
    honest = market.merchants["boreal"].answer

    def bare(message: Message) -> Message:
        reply = honest(message)
        reply.content["arrays"] = lanes_record(TERMS["boreal"])
        return reply

    market.merchants["boreal"].gone = {MASKING: bare}
    with pytest.raises(QuorumMissed):
        play(market)
    ((_, lanes),) = [(name, lanes) for name, lanes in arrived(market) if name == "boreal"]
    assert shows(lanes, TERMS["boreal"])
    assert not is_uniform(lanes)
    received = b"".join(dump(reply) for _, reply in market.received)
    assert plain_bytes("boreal")[0] in received


def dump(reply: Message) -> bytes:
    """All bytes of a message."""
    content = reply.content
    arrays = [array.data for record in content.array_records.values() for array in record.values()]
    records = [repr(dict(record)).encode() for record in content.config_records.values()]
    metrics = [repr(dict(record)).encode() for record in content.metric_records.values()]
    return b"".join([*arrays, *records, *metrics])


def test_secrets_are_never_sent_but_in_shares_of_the_kind_that_is_due(tmp_path: Path) -> None:
    """The coordinator gets the seed's shares of survivors, the key's shares of the others, of nobody both."""
    market = Market(tmp_path)
    market.leave(["cobre"], MASKING)
    play(market)
    for name, reply in market.received:
        if "revealed" in reply.content:
            revealed = reply.content.config_records["revealed"]
            assert revealed["survivors"] == ["aurora", "boreal", "duna", "espiga"], name
            assert revealed["dropped"] == ["cobre"]


def test_client_forgets_the_round_once_it_has_revealed(tmp_path: Path) -> None:
    market = Market(tmp_path)
    play(market)
    assert not any(len(merchant.context.state) for merchant in market.merchants.values())


# What makes no sense ------------------------------------------------------------------------------------------------


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


# With noise ---------------------------------------------------------------------------------------------------------


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
