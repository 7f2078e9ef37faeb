"""Who is waited for, who is asked, who may train."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from flwr.app import Message, MessageType

from federation.config import FederationConfig
from server.errors import ClientsMissing, ClientUnknown
from server.selection import sample
from tests.unit.server.federation import (
    CONFIG,
    NAMES,
    crashing,
    describing,
    empty,
    refusing,
    roster,
    silent,
    whole,
)
from tests.unit.server.grid import Answer, FakeGrid

QUERY, TRAIN = MessageType.QUERY, MessageType.TRAIN


class Heard:
    """Remembers what was said."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.waiting_for: list[list[str]] = []

    def __call__(self, stage: str, *, message: str = "", waiting_for: list[str] | None = None, **more: Any) -> None:
        self.messages.append(message)
        if waiting_for is not None:
            self.waiting_for.append(waiting_for)


def changed(**settings: Any) -> FederationConfig:
    return dataclasses.replace(CONFIG, **settings)


def test_run_starts_at_once_when_all_are_online() -> None:
    grid = FakeGrid({node: describing(name) for node, name in NAMES.items()}, NAMES)
    found = roster(grid, config=changed(wait_s=60.0))
    found.gather()
    assert found.admitted == {"aurora", "boreal", "cobre"}


def test_run_starts_with_its_minimum_after_the_wait_and_names_who_is_missing() -> None:
    heard = Heard()
    grid = FakeGrid({1: describing("aurora"), 3: describing("cobre")}, NAMES)
    found = roster(grid, say=heard)
    found.gather()
    assert found.admitted == {"aurora", "cobre"}
    assert heard.messages[0] == "waiting for 1 of 3: boreal, not seen yet"
    assert heard.waiting_for[0] == ["boreal"]


def test_client_that_was_there_and_went_is_told_with_the_time_since() -> None:
    heard = Heard()
    grid = FakeGrid({node: whole(name) for node, name in NAMES.items()}, NAMES)
    found = roster(grid, config=changed(quorum=1.0), say=heard)
    found.gather()
    del grid.nodes[2]
    found._seen["boreal"] -= 40
    chosen, online = found.invite(1)
    assert [client.name for client in online] == ["aurora", "cobre"]
    assert chosen == ["aurora", "boreal", "cobre"]
    assert "waiting for 1 of 3: boreal, last seen 40 s ago" in heard.messages


def test_too_few_clients_end_the_wait_with_the_names_of_the_missing() -> None:
    with pytest.raises(ClientsMissing, match=r"1 of 3 clients came online.*Missing: boreal, cobre\."):
        roster(FakeGrid({1: describing("aurora")}, NAMES)).gather()


def test_catalogue_of_one_client_can_be_trained_on_by_default_but_not_below_a_minimum_that_was_set() -> None:
    grid = FakeGrid({1: describing("aurora")}, NAMES)
    roster(grid, config=changed(clients="aurora")).gather()
    with pytest.raises(ClientsMissing, match="at least 4"):
        roster(grid, config=changed(min_clients=4)).gather()


def test_nodes_that_the_run_does_not_name_are_never_sent_a_message() -> None:
    grid = FakeGrid({node: describing(name) for node, name in NAMES.items()}, NAMES)
    found = roster(grid, config=changed(clients="aurora, cobre"))
    found.gather()
    assert sorted(grid.sent(QUERY)) == [1, 3]
    assert found.admitted == {"aurora", "cobre"}


def test_node_without_a_registered_name_is_never_sent_a_message_in_deployment() -> None:
    grid = FakeGrid({1: describing("aurora"), 2: describing("boreal"), 9: describing("cobre")}, NAMES)
    roster(grid).gather()
    assert sorted(grid.sent(QUERY)) == [1, 2]


def test_simulated_nodes_are_all_asked_who_they_are_and_only_named_ones_train() -> None:
    grid = FakeGrid({11: describing("cobre"), 12: describing("aurora"), 13: describing("boreal")})
    found = roster(grid, config=changed(clients="aurora,cobre"), are_named=False)
    found.gather()
    assert sorted(grid.sent(QUERY)) == [11, 12, 13]
    _, online = found.invite(1)
    assert [(client.name, client.node.node_id) for client in online] == [("aurora", 12), ("cobre", 11)]
    assert sorted(grid.sent(QUERY)) == [11, 12, 13], "a node that was left out is not asked again"


def test_unknown_client_is_named_at_the_start() -> None:
    with pytest.raises(ClientUnknown, match="no partition for mallory"):
        roster(FakeGrid({}), config=changed(clients="aurora,mallory"))


@pytest.mark.parametrize(
    ("stranger", "reason"),
    [
        (describing("cobre", **{"base-hash": "0" * 64}), "another base model"),
        (describing("cobre", **{"catalogue-version": "v0"}), "catalogue v0"),
        (describing("cobre", products=31), "31 products"),
        (describing("boreal"), "it calls itself boreal"),
        (describing("mallory"), "it calls itself mallory"),
        (refusing, "Too old"),
        (crashing, "it crashed"),
        (silent, "no reply"),
        (empty, "it calls itself nothing"),
    ],
    ids=["base", "stale", "size", "other-name", "unknown", "refusal", "crash", "silent", "empty"],
)
def test_client_that_does_not_match_is_left_out_and_told_why(
    stranger: Answer, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.gathering.PREFLIGHT_S", 0.1)
    heard = Heard()
    found = roster(FakeGrid({1: describing("aurora"), 2: describing("boreal"), 3: stranger}, NAMES), say=heard)
    found.gather()
    assert found.admitted == {"aurora", "boreal"}
    assert "left out: cobre: " in heard.messages[-1]
    assert reason in heard.messages[-1]


@pytest.mark.parametrize(
    ("stranger", "reason"),
    [(describing("mallory"), "no partition"), (describing("aurora"), "answered twice")],
    ids=["unknown", "twice"],
)
def test_simulated_node_that_is_nobody_or_somebody_else_is_left_out(stranger: Answer, reason: str) -> None:
    heard = Heard()
    grid = FakeGrid({1: describing("aurora"), 2: describing("boreal"), 3: stranger})
    roster(grid, are_named=False, say=heard).gather()
    assert reason in heard.messages[-1]


def test_client_that_declined_is_never_sent_another_message_and_one_that_crashed_is_asked_again() -> None:
    grid = FakeGrid({1: describing("aurora"), 2: refusing, 3: crashing}, NAMES)
    found = roster(grid, config=changed(min_clients=1))
    found.gather()
    grid.nodes[2], grid.nodes[3] = describing("boreal"), describing("cobre")
    chosen, _ = found.invite(1)
    assert chosen == ["aurora", "cobre"]
    assert grid.sent(QUERY).count(2) == 1


def test_client_that_dies_in_the_preflight_is_asked_again_before_the_run_gives_up() -> None:
    asked = 0

    def dying(message: Message) -> Message | None:
        nonlocal asked
        asked += 1
        return crashing(message) if asked == 1 else describing("boreal")(message)

    grid = FakeGrid({1: describing("aurora"), 2: dying}, NAMES)
    found = roster(grid)
    found.gather()
    assert found.admitted == {"aurora", "boreal"}


def test_run_with_too_few_fit_clients_names_the_reasons() -> None:
    answers = {1: describing("aurora"), 2: describing("boreal", **{"base-hash": "x"})}
    with pytest.raises(ClientsMissing, match=r"1 of 3 clients can take part.*another base model"):
        roster(FakeGrid(answers, NAMES)).gather()


def test_client_that_comes_late_takes_part_from_the_next_round_and_one_that_went_may_come_back() -> None:
    grid = FakeGrid({1: whole("aurora"), 2: whole("boreal")}, NAMES)
    found = roster(grid)
    found.gather()
    boreal = grid.nodes.pop(2)
    grid.nodes[3] = whole("cobre")
    _, online = found.invite(1)
    assert [client.name for client in online] == ["aurora", "cobre"]
    # Its node has another number now.
    grid.nodes[22], grid.names = boreal, {1: "aurora", 3: "cobre", 22: "boreal"}
    _, online = found.invite(2)
    assert [(client.name, client.node.node_id) for client in online] == [("aurora", 1), ("boreal", 22), ("cobre", 3)]


def test_replaced_key_of_a_client_wins_over_the_old_one() -> None:
    grid = FakeGrid({1: whole("aurora"), 2: whole("boreal"), 7: whole("aurora")}, {**NAMES, 7: "aurora"})
    grid.activated = {1: "2026-01-01T00:00:00", 7: "2026-01-02T00:00:00"}
    found = roster(grid)
    found.gather()
    _, online = found.invite(1)
    assert [client.node.node_id for client in online] == [7, 2]


def test_sample_is_the_same_for_a_seed_and_a_round_and_large_enough() -> None:
    names = [f"client-{i:02d}" for i in range(20)]
    config = changed(sample=0.3, seed=5)
    chosen = [sample(names, config, number) for number in range(1, 6)]
    assert chosen == [sample(names, config, number) for number in range(1, 6)]
    assert all(len(found) == 6 and found == sorted(found) for found in chosen)
    assert len({tuple(found) for found in chosen}) > 1
    assert len(sample(names, changed(sample=0.01, min_clients=4), 1)) == 4
    assert sample(names[:2], changed(sample=1.0, min_clients=2), 1) == names[:2]


def test_a_client_that_holds_more_than_it_enrolled_for_is_left_out_with_the_numbers() -> None:
    grid = FakeGrid({node: describing(name) for node, name in NAMES.items()}, NAMES)
    found = roster(grid)
    found.expected = dataclasses.replace(found.expected, limits={"aurora": 10, "boreal": 19})
    found.gather()
    assert found.admitted == {"aurora", "cobre"}
    assert found.left_out == {"boreal": "boreal: it holds 20 products, it enrolled for 19 at most"}
