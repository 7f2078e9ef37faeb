"""A client is removed while a run is under way: not drawn, not waited for, and what comes of it does not count."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
import structlog
from flwr.app import Message, MessageType

from catalog.objects import DirectoryStore
from federation.config import FederationConfig
from server import exchange, gathering
from server.enrolments import note_admitted, note_removed, removed
from server.errors import ClientsMissing, QuorumMissed
from server.exchange import ADVERTISING, MASKING, REVEALING, SHARING, Mailbox
from server.gathering import Roster
from server.memory import Memory
from server.rounds import Rounds
from tests.unit.server import masked
from tests.unit.server.federation import CONFIG, EXPECTED, NAMES, SETTLED, STATE, describing, quiet, rounds, whole
from tests.unit.server.grid import Answer, FakeGrid

QUERY, TRAIN = MessageType.QUERY, MessageType.TRAIN


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "data")


def changed(**settings: Any) -> FederationConfig:
    return dataclasses.replace(CONFIG, **settings)


def whole_grid(**instead: Answer) -> FakeGrid:
    return FakeGrid({node: instead.get(name) or whole(name) for node, name in NAMES.items()}, NAMES)


def roster(grid: FakeGrid, store: DirectoryStore, config: FederationConfig = CONFIG) -> Roster:
    return Roster(Mailbox(grid, removed=lambda: removed(store)), config, EXPECTED, quiet)


def course(grid: FakeGrid, store: DirectoryStore, config: FederationConfig = CONFIG) -> Rounds:
    made = rounds(grid, config=config)
    made.mailbox.removed = lambda: removed(store)
    return made


def test_a_client_that_is_removed_is_drawn_in_no_later_round_also_when_it_is_added_again(
    store: DirectoryStore,
) -> None:
    grid = whole_grid()
    run = course(grid, store)
    assert run.play(STATE, SETTLED, round_number=1).asked == 3
    note_removed(store, "boreal")
    with structlog.testing.capture_logs() as lines:
        second = run.play(STATE, SETTLED, round_number=2)
    assert (second.asked, second.total.replies, second.total.silent) == (2, 2, [])
    assert [line["client"] for line in lines if line["event"].startswith("a client was removed")] == ["boreal"]
    note_admitted(store, "boreal")
    assert run.play(STATE, SETTLED, round_number=3).asked == 2
    assert grid.sent(TRAIN) == [1, 2, 3, 1, 3, 1, 3]


def test_the_round_is_drawn_again_when_one_is_removed_that_it_waits_for(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LOOK_EVERY_S", 0.01)
    grid = whole_grid()
    del grid.nodes[2]
    # The operator removes it while the round waits.
    grid.on_look = lambda looked: note_removed(store, "boreal") if looked == 4 else None
    began = time.monotonic()
    outcome = course(grid, store, changed(wait_s=60.0, quorum=1.0)).play(STATE, SETTLED, round_number=1)
    assert (outcome.asked, outcome.total.replies) == (2, 2)
    assert time.monotonic() - began < 10


def test_nobody_waits_at_the_start_for_a_client_that_is_removed_meanwhile(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LOOK_EVERY_S", 0.01)
    grid = FakeGrid({1: describing("aurora"), 3: describing("cobre")}, NAMES)
    grid.on_look = lambda looked: note_removed(store, "boreal") if looked == 3 else None
    found, began = roster(grid, store, changed(wait_s=60.0)), time.monotonic()
    found.gather()
    assert found.admitted == {"aurora", "cobre"}
    assert time.monotonic() - began < 10


def test_a_client_that_is_removed_before_it_has_answered_is_not_admitted(store: DirectoryStore) -> None:
    def leaving(message: Message) -> Message | None:
        note_removed(store, "boreal")
        return whole("boreal")(message)

    found = roster(whole_grid(boreal=leaving), store)
    found.gather()
    assert found.admitted == {"aurora", "cobre"}


def test_an_update_that_comes_after_the_removal_does_not_count(store: DirectoryStore) -> None:
    def leaving(message: Message) -> Message | None:
        note_removed(store, "boreal")
        return whole("boreal")(message)

    outcome = course(whole_grid(boreal=leaving), store).play(STATE, SETTLED, round_number=1)
    assert list(outcome.total.norms) == ["aurora", "cobre"]
    assert outcome.total.silent == ["boreal: it was removed"]


def test_a_round_does_not_wait_for_the_update_of_a_client_that_was_removed(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LOOK_S", 0.01)

    def leaving(message: Message) -> None:
        note_removed(store, "boreal")

    began = time.monotonic()
    outcome = course(whole_grid(boreal=leaving), store, changed(deadline_s=60.0)).play(STATE, SETTLED, round_number=1)
    assert outcome.total.silent == ["boreal: it was removed"]
    assert time.monotonic() - began < 10


def test_a_client_that_is_removed_between_the_drawing_and_the_sending_is_sent_nothing(store: DirectoryStore) -> None:
    grid = whole_grid()
    run = course(grid, store)
    chosen, clients = run.roster.invite(1)
    note_removed(store, "boreal")
    found = run.mailbox.ask(clients, exchange.preflight_question(CONFIG), kind=QUERY, group="1", deadline_s=0.2)
    assert [(client.name, reply is None) for client, reply, _ in found] == [
        ("aurora", False),
        ("boreal", True),
        ("cobre", False),
    ]
    assert (chosen, grid.sent(QUERY)) == (["aurora", "boreal", "cobre"], [1, 3])


def test_a_round_that_a_removal_left_without_a_quorum_is_tried_again_among_those_that_are_left(
    store: DirectoryStore,
) -> None:
    def leaving(message: Message) -> Message | None:
        note_removed(store, "boreal")
        return whole("boreal")(message)

    with pytest.raises(QuorumMissed, match="boreal: it was removed"):
        course(whole_grid(boreal=leaving), store, changed(quorum=1.0)).play(STATE, SETTLED, round_number=1)
    note_admitted(store, "boreal")
    again = course(whole_grid(boreal=leaving), store, changed(quorum=1.0, round_retries=1))
    outcome = again.play(STATE, SETTLED, round_number=1)
    assert (outcome.attempts, outcome.asked, outcome.total.replies) == (2, 2, 2)


def test_a_run_ends_when_fewer_clients_are_left_than_its_minimum(store: DirectoryStore) -> None:
    run = course(whole_grid(), store, changed(min_clients=3))
    note_removed(store, "boreal")
    with pytest.raises(ClientsMissing, match=r"2 clients are left in round 4, 3 are needed\. boreal: it was removed\."):
        run.play(STATE, SETTLED, round_number=4)


@pytest.mark.parametrize("stage", [ADVERTISING, SHARING, MASKING])
def test_who_is_removed_in_a_confidential_round_is_not_in_its_sum(
    stage: str, store: DirectoryStore, tmp_path: Path
) -> None:
    market = masked.Market(tmp_path / "market")
    duna = market.merchants["duna"]

    def leaving(message: Message) -> Message | None:
        note_removed(store, "duna")
        return duna.answer(message)

    duna.gone[stage] = leaving
    run = market.rounds()
    run.mailbox.removed = lambda: removed(store)
    outcome = run.play(masked.STATE, Memory(), round_number=1)
    left = ["aurora", "boreal", "cobre", "espiga"]
    assert masked.counted(outcome) == set(left)
    assert outcome.total.contributions["duna"].reason == "it was removed"
    error = masked.moved(outcome) - masked.plain_mean(left)
    assert float((error**2).mean() ** 0.5) < 1e-6
    kinds = [kind for node, kind in _sent(market.grid) if node == 4]
    assert kinds == list(masked.STAGES[: masked.STAGES.index(stage) + 1]), "it is asked nothing more"
    market.grid.pushed.clear()
    assert run.play(masked.STATE, Memory(), round_number=2).asked == 4
    assert 4 not in {node for node, _ in _sent(market.grid)}


def test_a_masked_update_that_came_before_the_removal_counts_and_the_client_is_asked_no_more(
    store: DirectoryStore, tmp_path: Path
) -> None:
    market = masked.Market(tmp_path / "market")
    run = market.rounds()
    run.mailbox.removed = lambda: removed(store)
    run.before_unmasking = lambda _: note_removed(store, "duna")
    outcome = run.play(masked.STATE, Memory(), round_number=1)
    assert masked.counted(outcome) == set(masked.NAMES.values())
    assert outcome.total.masking["dropped"] == {"duna": "reveal: it was removed"}
    assert (4, REVEALING) not in _sent(market.grid)


def _sent(grid: FakeGrid) -> list[tuple[int, str]]:
    return [(message.metadata.dst_node_id, message.metadata.message_type) for message in grid.pushed]
