from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Error, Message, MetricRecord, RecordDict

from federation.config import FederationConfig
from federation.presets import load_preset
from federation.tensors import Tensors, add
from federation.wire import from_record, to_record
from server.errors import ClientsMissing, QuorumMissed
from server.rounds import Client, Expected, preflight, run_round, wait_for_nodes
from tests.models import tiny_state
from tests.unit.server.grid import Answer, FakeGrid

PRESET = load_preset("tiny")
CONFIG = FederationConfig(preset="tiny", deadline_s=0.2, wait_s=0.2)
STATE = tiny_state()
EXPECTED = Expected("v1", PRESET.base_hash, {"aurora": 10, "boreal": 20, "cobre": 30})
CLIENTS = [Client(i, name, products) for i, (name, products) in enumerate(EXPECTED.products.items(), start=1)]


def quiet(message: str) -> None:
    """Nobody listens."""


def constant(value: float) -> Tensors:
    return {name: np.full_like(array, value) for name, array in STATE.items()}


def update(delta: Tensors, *, examples: Any = 10, loss: Any = 1.0) -> Answer:
    """A node that answers with this delta."""

    def answer(message: Message) -> Message:
        metrics = MetricRecord({"num-examples": examples, "loss": loss})
        return Message(RecordDict({"arrays": to_record(delta), "metrics": metrics}), reply_to=message)

    return answer


def refusing(message: Message) -> Message:
    refusal = ConfigRecord({"code": "clients.partition_stale", "message": "Too old.", "hint": ""})
    return Message(RecordDict({"refusal": refusal}), reply_to=message)


def crashing(message: Message) -> Message:
    return Message(Error(code=1, reason="it crashed"), reply_to=message)


def silent(message: Message) -> None:
    return None


def describing(client: str, **changes: Any) -> Answer:
    """A node that answers the preflight as ``client``."""
    known: dict[str, Any] = {
        "client": client,
        "products": EXPECTED.products.get(client, 1),
        "catalogue-version": "v1",
        "base-hash": PRESET.base_hash,
    }

    def answer(message: Message) -> Message:
        return Message(RecordDict({"description": ConfigRecord(known | changes)}), reply_to=message)

    return answer


def one_round(*answers: Answer, config: FederationConfig = CONFIG) -> Any:
    grid = FakeGrid(dict(enumerate(answers, start=1)))
    return run_round(grid, STATE, CLIENTS, config, EXPECTED, round_number=1)


def test_round_adds_the_mean_of_the_deltas_weighted_by_products() -> None:
    total = one_round(
        update(constant(1), examples=10), update(constant(2), examples=20), update(constant(4), examples=30)
    )
    expected = add(STATE, constant((10 * 1 + 20 * 2 + 30 * 4) / 60))
    for name, array in total.new_state().items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-6)
    assert (total.replies, total.rejections, total.loss) == (3, [], 1.0)
    assert total.bytes_up > 3 * sum(a.nbytes for a in STATE.values())


def test_clients_are_sent_the_state_and_what_the_run_is_about() -> None:
    grid = FakeGrid({i: update(constant(1)) for i in (1, 2, 3)})
    run_round(grid, STATE, CLIENTS, CONFIG, EXPECTED, round_number=7)
    sent = grid.pushed[0].content
    back = from_record(sent.array_records["arrays"], like=STATE)
    np.testing.assert_array_equal(back["heads.image.weight"], STATE["heads.image.weight"])
    values = sent.config_records["config"]
    assert (values["round"], values["catalogue-version"], values["base-hash"]) == (7, "v1", PRESET.base_hash)
    assert FederationConfig.from_run_config(values) == CONFIG


POISON: dict[str, tuple[Answer, str]] = {
    "nan": (update(constant(float("nan"))), "NaN"),
    "infinity": (update(constant(float("inf"))), "infinity"),
    "no-weight": (update(constant(1), examples=0), "num-examples"),
    "negative-weight": (update(constant(1), examples=-5), "num-examples"),
    "more-than-it-was-given": (update(constant(1), examples=10**9), "num-examples"),
    "fractional-weight": (update(constant(1), examples=2.5), "num-examples"),
    "nan-loss": (update(constant(1), loss=float("nan")), "loss"),
    "other-shape": (update({**constant(1), "heads.log_scale": np.ones(1, np.float32)}), "log_scale"),
    "other-type": (update({n: a.astype(np.float64) for n, a in constant(1).items()}), "float64"),
    "other-names": (update({"weights": np.ones(3, np.float32)}), "expected"),
    "refusal": (refusing, "Too old"),
    "crash": (crashing, "it crashed"),
    "empty": (lambda message: Message(RecordDict({}), reply_to=message), "no update"),
}


@pytest.mark.parametrize("name", POISON)
def test_one_bad_reply_is_rejected_with_its_reason_and_the_others_count(name: str) -> None:
    bad, reason = POISON[name]
    total = one_round(update(constant(1)), bad, update(constant(1)))
    assert total.replies == 2
    assert len(total.rejections) == 1
    assert total.rejections[0].startswith("boreal: ")
    assert reason in total.rejections[0]
    expected = add(STATE, constant(1))
    for tensor, array in total.new_state().items():
        np.testing.assert_allclose(array, expected[tensor], rtol=1e-6)


def test_round_ends_at_its_deadline_when_a_client_stays_silent() -> None:
    began = time.monotonic()
    total = one_round(update(constant(1)), silent, update(constant(1)))
    assert total.replies == 2
    assert time.monotonic() - began < 5


def test_round_below_its_quorum_fails_and_names_every_reason() -> None:
    with pytest.raises(QuorumMissed, match=r"1 of 3 updates count, 2 are needed") as caught:
        one_round(update(constant(1)), crashing, silent)
    assert "boreal: failed: it crashed" in str(caught.value)
    assert "cobre: no reply" in str(caught.value)


def test_quorum_of_all_needs_all() -> None:
    with pytest.raises(QuorumMissed):
        one_round(update(constant(1)), crashing, update(constant(1)), config=dataclasses.replace(CONFIG, quorum=1.0))


def test_waiting_for_clients_ends_with_what_is_missing() -> None:
    said: list[str] = []
    with pytest.raises(ClientsMissing, match="1 of 3 clients came online"):
        wait_for_nodes(FakeGrid({1: silent}), expected=3, minimum=2, wait_s=0.1, say=said.append)
    assert "1 of 3 clients online" in said[0]


def test_run_starts_at_once_when_all_are_online_and_with_the_minimum_after_the_wait() -> None:
    all_three = FakeGrid({1: silent, 2: silent, 3: silent})
    assert set(wait_for_nodes(all_three, expected=3, minimum=2, wait_s=60, say=quiet)) == {1, 2, 3}
    two = FakeGrid({1: silent, 2: silent}, names={1: "aurora"})
    assert wait_for_nodes(two, expected=3, minimum=2, wait_s=0.1, say=quiet) == {1: "aurora", 2: ""}


def admitted(*answers: Answer, names: dict[int, str] | None = None, say: Callable[[str], None] = quiet) -> list[str]:
    grid = FakeGrid(dict(enumerate(answers, start=1)), names)
    nodes = {node: (names or {}).get(node, "") for node in grid.nodes}
    return [client.name for client in preflight(grid, nodes, CONFIG, EXPECTED, say=say)]


def test_clients_that_match_the_catalogue_and_the_base_take_part() -> None:
    assert admitted(describing("cobre"), describing("aurora"), describing("boreal")) == ["aurora", "boreal", "cobre"]


@pytest.mark.parametrize(
    ("stranger", "reason"),
    [
        (describing("cobre", **{"base-hash": "0" * 64}), "another base model"),
        (describing("cobre", **{"catalogue-version": "v0"}), "catalogue v0"),
        (describing("cobre", products=31), "31 products"),
        (describing("mallory"), "no partition"),
        (describing("aurora"), "answered twice"),
        (refusing, "Too old"),
        (crashing, "it crashed"),
        (lambda message: Message(RecordDict({}), reply_to=message), "no partition"),
    ],
    ids=["base", "stale", "size", "unknown", "twice", "refusal", "crash", "empty"],
)
def test_client_that_does_not_match_is_left_out_and_told_why(stranger: Answer, reason: str) -> None:
    said: list[str] = []
    assert admitted(describing("aurora"), describing("boreal"), stranger, say=said.append) == ["aurora", "boreal"]
    assert reason in said[-1]


def test_node_cannot_call_itself_by_another_s_name() -> None:
    said: list[str] = []
    names = {1: "aurora", 2: "boreal", 3: "cobre"}
    answers = (describing("aurora"), describing("boreal"), describing("boreal"))
    assert admitted(*answers, names=names, say=said.append) == ["aurora", "boreal"]
    assert "cobre: it calls itself boreal" in said[-1]


def test_run_with_too_few_fit_clients_names_the_reasons() -> None:
    with pytest.raises(ClientsMissing, match=r"1 of 3 clients can take part.*another base model"):
        admitted(describing("aurora"), describing("boreal", **{"base-hash": "x"}))
