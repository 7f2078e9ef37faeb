"""One round: what is sent, in which order updates are added, what happens to those that are late or lost."""

from __future__ import annotations

import dataclasses
import itertools
import time
from typing import Any

import numpy as np
import pytest
import structlog

from federation.config import FederationConfig
from federation.tensors import Tensors, add
from federation.wire import from_record, record_bytes, to_record
from server import exchange
from server.errors import QuorumMissed
from server.memory import Memory
from server.rounds import Outcome
from tests.unit.server.federation import (
    CONFIG,
    EXPECTED,
    NAMES,
    RUN,
    SETTLED,
    STATE,
    constant,
    crashing,
    one_round,
    refusing,
    rounds,
    silent,
    told,
    training,
    update,
    whole,
)
from tests.unit.server.grid import Answer, FakeGrid

HONEST = {node: training(name) for node, name in NAMES.items()}


def changed(**settings: Any) -> FederationConfig:
    return dataclasses.replace(CONFIG, **settings)


def assert_equal(found: Tensors, expected: Tensors) -> None:
    """Bit for bit."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def play(grid: FakeGrid, config: FederationConfig = CONFIG, memory: Memory = SETTLED) -> Outcome:
    return rounds(grid, config=config).play(STATE, memory, round_number=1)


def test_round_adds_the_mean_of_the_deltas_weighted_by_products() -> None:
    outcome = one_round(
        update(constant(0.01), held=10), update(constant(0.02), held=20), update(constant(0.04), held=30)
    )
    expected = add(STATE, constant((10 * 0.01 + 20 * 0.02 + 30 * 0.04) / 60))
    for name, array in outcome.total.new_state().items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-6)
    assert (outcome.total.replies, outcome.rejections, outcome.total.loss) == (3, [], 1.0)
    assert (outcome.asked, outcome.attempts, outcome.late) == (3, 1, [])


def test_every_line_of_a_round_says_which_round_attempt_and_client_it_is_about() -> None:
    merge: Any = structlog.contextvars.merge_contextvars
    with structlog.testing.capture_logs(processors=[merge]) as lines:
        one_round(HONEST[1], refusing, silent, config=changed(quorum=0.1))
    found = [(line["event"], line["client"], line["round"], line["attempt"]) for line in lines]
    assert found == [
        ("an update counts", "aurora", 1, 1),
        ("an update does not count", "boreal", 1, 1),
        ("a client sent no reply", "cobre", 1, 1),
    ]


def test_clients_are_sent_the_state_and_what_the_round_is_about() -> None:
    grid = FakeGrid(dict(HONEST), NAMES)
    rounds(grid).play(STATE, SETTLED, round_number=7)
    back = from_record(grid.pushed[0].content.array_records["arrays"], like=STATE)
    assert_equal(back, STATE)
    values = told(grid.pushed[0])
    assert (values["run"], values["round"], values["attempt"]) == (RUN, 7, 1)
    assert (values["catalogue-version"], values["base-hash"]) == ("v1", EXPECTED.base_hash)
    assert FederationConfig.from_run_config(values) == CONFIG


def test_bytes_are_those_that_were_sent() -> None:
    outcome = one_round(*HONEST.values())
    sent = record_bytes(to_record(STATE))
    assert (outcome.bytes_down, outcome.total.bytes_up) == (3 * sent, 3 * sent)


@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)))
def test_new_state_is_the_same_bit_for_bit_whatever_order_replies_arrive_in(order: tuple[int, ...]) -> None:
    expected = one_round(*HONEST.values()).total.new_state()
    grid = FakeGrid(dict(HONEST), NAMES)
    outcome_of = rounds(grid, config=changed(deadline_s=5.0))
    # The first to answer is there at once, the others after so many looks.
    grid.hold = 0
    real_push = grid.push_messages

    def push(messages: Any) -> Any:
        ids = list(real_push(messages))
        grid.withheld |= {ids[node - 1]: place for place, node in enumerate(order)}
        return ids

    grid.push_messages = push  # type: ignore[method-assign]
    outcome = outcome_of.play(STATE, SETTLED, round_number=1)
    assert_equal(outcome.total.new_state(), expected)


def test_replies_are_pulled_one_at_a_time() -> None:
    """Flower gives all replies that are there at once: many ids in one call would bring many updates into memory."""
    grid = FakeGrid(dict(HONEST), NAMES)
    play(grid)
    assert all(len(ids) == 1 for ids in grid.pulled)


@pytest.mark.parametrize(("bad", "reason"), [(refusing, "Too old"), (crashing, "it crashed")], ids=["refusal", "crash"])
def test_client_that_fails_is_counted_with_its_reason_and_the_others_count(bad: Answer, reason: str) -> None:
    outcome = one_round(HONEST[1], bad, HONEST[3])
    assert outcome.total.replies == 2
    assert outcome.rejections[0].startswith("boreal: ")
    assert reason in outcome.rejections[0]


def test_round_ends_at_its_deadline_when_a_client_stays_silent_and_those_behind_it_still_count() -> None:
    began = time.monotonic()
    outcome = one_round(silent, HONEST[2], HONEST[3])
    assert list(outcome.total.norms) == ["boreal", "cobre"]
    assert outcome.total.silent == ["aurora: no reply within 0 s"]
    assert time.monotonic() - began < 5


def test_client_that_is_not_online_is_asked_nothing_and_counts_as_asked() -> None:
    grid = FakeGrid({1: HONEST[1], 3: HONEST[3]}, NAMES)
    outcome = play(grid)
    assert (outcome.asked, outcome.total.replies, outcome.total.silent) == (3, 2, ["boreal: not online"])


def test_late_reply_is_dropped_and_counted_in_the_next_round_s_report() -> None:
    grid = FakeGrid(dict(HONEST), NAMES)
    course = rounds(grid)
    late = "message-1"
    grid.withheld = {}
    original = grid.push_messages

    def push(messages: Any) -> Any:
        ids = list(original(messages))
        if late in ids:
            grid.withheld[late] = 2
        return ids

    grid.push_messages = push  # type: ignore[method-assign]
    first = course.play(STATE, SETTLED, round_number=1)
    assert (first.total.replies, first.late) == (2, [])
    expected = one_round(HONEST[1], crashing, HONEST[3]).total.new_state()
    assert_equal(first.total.new_state(), expected)
    second = course.play(STATE, SETTLED, round_number=2)
    assert (second.total.replies, second.late) == (3, ["boreal"])
    assert course.play(STATE, SETTLED, round_number=3).late == []


def test_node_that_was_started_anew_has_lost_its_message_and_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LOOK_S", 0.0)
    grid = FakeGrid({1: HONEST[1], 2: silent, 3: HONEST[3]}, NAMES)
    grid.activated = dict.fromkeys(NAMES, "2026-01-01T00:00:00")

    def restart(looks: int) -> None:
        if looks > 6:
            grid.activated[2] = "2026-01-01T00:01:00"

    grid.on_look = restart
    began = time.monotonic()
    outcome = play(grid, changed(deadline_s=60.0))
    assert time.monotonic() - began < 10
    assert outcome.total.silent == ["boreal: its SuperNode was started anew and has lost the message"]


def test_round_below_its_quorum_fails_and_names_every_reason() -> None:
    with pytest.raises(QuorumMissed, match=r"1 of 3 updates count, 2 are needed") as caught:
        one_round(HONEST[1], crashing, silent)
    assert "boreal: failed: it crashed" in str(caught.value)
    assert "cobre: no reply" in str(caught.value)


def test_run_whose_clients_all_fail_fails() -> None:
    with pytest.raises(QuorumMissed, match=r"0 of 3 updates count"):
        one_round(crashing, refusing, crashing)


def test_quorum_of_all_needs_all() -> None:
    with pytest.raises(QuorumMissed):
        one_round(HONEST[1], crashing, HONEST[3], config=changed(quorum=1.0))


def failing_once(answer: Answer) -> Answer:
    """Crashes at its first message, then answers."""
    asked = itertools.count()
    return lambda message: crashing(message) if next(asked) == 0 else answer(message)


def test_round_without_a_quorum_is_tried_again_from_the_same_state() -> None:
    expected = one_round(*HONEST.values()).total.new_state()
    grid = FakeGrid({1: HONEST[1], 2: failing_once(HONEST[2]), 3: HONEST[3]}, NAMES)
    outcome = play(grid, changed(quorum=1.0, round_retries=1))
    assert_equal(outcome.total.new_state(), expected)
    assert outcome.attempts == 2
    assert outcome.rejections == ["attempt 1: boreal: failed: it crashed"]
    assert [told(message)["attempt"] for message in grid.pushed] == [1, 1, 1, 2, 2, 2]


def test_round_is_tried_as_often_as_the_config_says() -> None:
    grid = FakeGrid(dict.fromkeys(NAMES, crashing), NAMES)
    with pytest.raises(QuorumMissed):
        play(grid, changed(round_retries=2))
    assert len(grid.pushed) == 9


def test_round_of_a_sample_asks_no_others() -> None:
    grid = FakeGrid({node: whole(name) for node, name in NAMES.items()}, NAMES)
    outcome = play(grid, changed(sample=0.5, min_clients=1))
    assert outcome.asked == 2
    assert len(grid.pushed) == 2


def test_attempt_that_is_repeated_leaves_nothing_in_the_memory() -> None:
    grid = FakeGrid({1: HONEST[1], 2: failing_once(HONEST[2]), 3: HONEST[3]}, NAMES)
    outcome = play(grid, changed(quorum=1.0, round_retries=1))
    memory = outcome.total.memory()
    assert len(memory.digests) == 3
    assert len(memory.paces) == len(SETTLED.paces) + 3
