"""Malformed updates: each is refused with a reason; the new state is that of the honest clients alone, bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from clients.dataset import open_dataset
from core.settings import Settings
from federation.config import FederationConfig
from federation.encoding import LazyTowers
from federation.features import FeatureSource
from federation.model import build_model
from federation.tensors import Tensors
from federation.training import train
from federation.wire import to_record
from server.memory import Memory
from server.simulation import prepare_simulation
from server.validation import Coverage, optimiser_steps, outliers, reachable_norm
from tests.models import tiny_config, tiny_spec, tiny_state
from tests.unit.server.federation import (
    CONFIG,
    NAMES,
    SETTLED,
    STATE,
    constant,
    crashing,
    empty,
    honest,
    one_round,
    refusing,
    rounds,
    told,
    training,
    update,
)
from tests.unit.server.grid import Answer, FakeGrid

HELD = 20
HONEST = {node: training(name) for node, name in NAMES.items()}


def boreal(change: Callable[[Tensors], Tensors] = lambda delta: delta, **said: Any) -> Answer:
    """Boreal's honest update, changed."""
    return update(lambda message: change(honest("boreal", message)), held=HELD, **said)


def scaled(factor: float) -> Callable[[Tensors], Tensors]:
    return lambda delta: {name: np.asarray(array * np.float32(factor)) for name, array in delta.items()}


def with_tensor(name: str, array: Any) -> Callable[[Tensors], Tensors]:
    return lambda delta: delta | {name: array}


def poisoned(value: float) -> Callable[[Tensors], Tensors]:
    def change(delta: Tensors) -> Tensors:
        weight = delta["image.weight"].copy()
        weight[-1, -1] = value
        return delta | {"image.weight": weight}

    return change


def metrics(**said: Any) -> Answer:
    return boreal(metrics={name.replace("_", "-"): value for name, value in said.items()})


def receipt(**said: Any) -> Answer:
    return boreal(receipt={name.replace("_", "-"): value for name, value in said.items()})


def truncated(message: Message) -> Message:
    """Tensors whose bytes end before their shape is full."""
    found = HONEST[2](message)
    assert found is not None
    arrays = found.content.array_records["arrays"]
    whole = arrays["image.weight"]
    arrays["image.weight"] = Array(whole.dtype, whole.shape, whole.stype, whole.data[:-8])
    return found


def bloated(message: Message) -> Message:
    """Far more bytes than the shape needs."""
    found = HONEST[2](message)
    assert found is not None
    arrays = found.content.array_records["arrays"]
    whole = arrays["image.weight"]
    arrays["image.weight"] = Array(whole.dtype, whole.shape, whole.stype, whole.data + bytes(10**6))
    return found


def without(record: str) -> Answer:
    def answer(message: Message) -> Message:
        found = HONEST[2](message)
        assert found is not None
        kept = {name: value for name, value in found.content.items() if name != record}
        return Message(RecordDict(kept), reply_to=message)

    return answer


def copying_aurora(message: Message) -> Message:
    """The very update that aurora sends."""
    found = update(lambda message: honest("aurora", message), held=HELD)(message)
    assert found is not None
    return found


MALFORMED: dict[str, tuple[Answer, str]] = {
    "nan": (boreal(poisoned(float("nan"))), "NaN or infinity"),
    "infinity": (boreal(poisoned(float("inf"))), "NaN or infinity"),
    "scaled-a-hundredfold": (boreal(scaled(100)), "norm"),
    "huge-but-finite": (boreal(scaled(1e37)), "norm"),
    "other-shape": (boreal(with_tensor("log_scale", np.ones(1, np.float32))), "log_scale"),
    "flat-shape": (boreal(lambda delta: {n: a.reshape(-1) for n, a in delta.items()}), "weight"),
    "float64": (boreal(lambda delta: {n: a.astype(np.float64) for n, a in delta.items()}), "float64"),
    "other-names": (boreal(lambda delta: {"weights": delta["log_scale"]}), "weights"),
    "name-missing": (boreal(lambda delta: {n: a for n, a in delta.items() if n != "log_scale"}), "log_scale"),
    "name-too-many": (boreal(with_tensor("more", np.ones(3, np.float32))), "more"),
    "truncated": (truncated, "image.weight"),
    "bloated": (bloated, "image.weight"),
    "no-weight": (metrics(num_examples=0), "num-examples is 0"),
    "negative-weight": (metrics(num_examples=-5), "num-examples is -5"),
    "more-than-it-was-given": (metrics(num_examples=HELD + 1), "was given 20 products"),
    "fractional-weight": (metrics(num_examples=19.5), "num-examples is 19.5"),
    "list-as-weight": (metrics(num_examples=[20]), "num-examples is [20]"),
    "other-size": (metrics(held=HELD + 1), "enrolled with 20"),
    "no-size": (metrics(held=0.0), "enrolled with 20"),
    "nan-loss": (metrics(loss=float("nan")), "loss is nan"),
    "whole-loss": (metrics(loss=1), "loss is 1"),
    "too-little-of-its-products": (
        boreal(
            metrics={"num-examples": 12},
            receipt={"skipped-reasons": ["image cannot be read"], "skipped-counts": [8]},
        ),
        "trained on 12 of 20; 8 skipped: image cannot be read 8",
    ),
    "unreadable-reasons": (receipt(skipped_reasons=["a", "b"], skipped_counts=[1]), "reasons"),
    "other-run": (receipt(run="run-2"), "run 'run-2'"),
    "earlier-round": (receipt(round=0), "round 0"),
    "earlier-attempt": (receipt(attempt=0), "attempt 0"),
    "other-base": (receipt(base_hash="0" * 64), "base-hash"),
    "other-encoding": (receipt(encoding="fp16"), "encoding 'fp16'"),
    "number-as-text": (receipt(round="1"), "round '1'"),
    "true-as-round": (receipt(round=True), "round True"),
    "replay-of-another": (copying_aurora, "replay"),
    "no-receipt": (without("receipt"), "run None"),
    "no-metrics": (without("metrics"), "no update"),
    "no-arrays": (without("arrays"), "no update"),
    "empty": (empty, "no update"),
    "refusal": (refusing, "Too old"),
    "crash": (crashing, "it crashed"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_update_is_refused_with_its_reason_and_leaves_no_trace_in_the_state(name: str) -> None:
    bad, reason = MALFORMED[name]
    outcome = one_round(HONEST[1], bad, HONEST[3])
    assert outcome.total.replies == 2
    assert len(outcome.rejections) == 1
    assert outcome.rejections[0].startswith("boreal: ")
    assert reason in outcome.rejections[0]
    config = dataclasses.replace(CONFIG, clients="aurora,cobre")
    alone = rounds(FakeGrid({1: HONEST[1], 3: HONEST[3]}, NAMES), config=config)
    alone.roster.admitted = {"aurora", "cobre"}
    expected = alone.play(STATE, SETTLED, round_number=1)
    new = outcome.total.new_state()
    for tensor, array in expected.total.new_state().items():
        np.testing.assert_array_equal(new[tensor], array)
    assert outcome.total.memory() == expected.total.memory()


def test_honest_update_from_most_of_the_products_counts_with_its_reasons() -> None:
    answer = boreal(
        metrics={"num-examples": 19}, receipt={"skipped-reasons": ["image cannot be read"], "skipped-counts": [1]}
    )
    outcome = one_round(HONEST[1], answer, HONEST[3])
    assert outcome.rejections == []
    assert outcome.total.coverage["boreal"] == Coverage(19, 20, {"image cannot be read": 1})


def test_coverage_is_told_as_people_read_it() -> None:
    found = Coverage(9412, 10_000, {"image cannot be read": 588})
    assert str(found) == "trained on 9,412 of 10,000; 588 skipped: image cannot be read 588"
    assert str(Coverage(10, 10)) == "trained on 10 of 10"
    assert str(Coverage(9, 10)) == "trained on 9 of 10; 1 skipped: no reason given"


def test_update_of_an_earlier_round_is_refused_when_it_is_sent_again() -> None:
    grid = FakeGrid(dict(HONEST), NAMES)
    played = rounds(grid)
    first = played.play(STATE, SETTLED, round_number=1)
    kept = honest("boreal", grid.pushed[1])
    grid.nodes[2] = update(kept, held=HELD)
    second = played.play(first.total.new_state(), first.total.memory(), round_number=2)
    assert second.rejections == ["boreal: The same update was accepted before: it is a replay."]


def test_first_round_is_repeated_without_an_update_that_stands_out() -> None:
    """There is no history yet, so the round's own norms are the measure: known once all updates are in."""
    grid = FakeGrid({1: HONEST[1], 2: boreal(scaled(8)), 3: HONEST[3]}, NAMES)
    outcome = rounds(grid).play(STATE, Memory(), round_number=1)
    assert (outcome.attempts, outcome.total.replies) == (2, 2)
    assert "boreal: Its norm is" in outcome.rejections[0]
    expected = one_round(HONEST[1], crashing, HONEST[3]).total.new_state()
    new = outcome.total.new_state()
    for name, array in expected.items():
        np.testing.assert_array_equal(new[name], array)


def test_first_round_of_honest_clients_is_played_once() -> None:
    assert one_round(*HONEST.values(), memory=Memory()).attempts == 1


def test_first_round_refuses_what_no_training_could_have_reached() -> None:
    outcome = one_round(HONEST[1], boreal(scaled(1e6)), HONEST[3], memory=Memory())
    assert outcome.attempts == 1
    assert "norm" in outcome.rejections[0]


def test_zeros_of_others_do_not_make_an_honest_update_look_long() -> None:
    zeros = constant(0.0)
    memory = Memory(paces=(0.0, 0.0, 0.0))
    outcome = one_round(update(zeros, held=10), HONEST[2], HONEST[3], memory=memory)
    assert outcome.rejections == []


def test_honest_clients_of_very_different_size_are_no_outliers_to_each_other(tmp_path: Path) -> None:
    """Real training: 6, 40 and 240 products are 1, 5 and 30 steps an epoch."""
    config = tiny_config(batch_size=8, local_epochs=3)
    prepare_simulation(tmp_path, spec="synthetic", clients=1, limit=320)
    whole = open_dataset(Settings(_env_file=None, simulation_dir=tmp_path), partition=0)
    features = FeatureSource(tiny_spec(), root=tmp_path, owner="aurora").of(whole.products(), total=320)
    paces, norms = {}, {}
    for size in (6, 40, 240):
        model = build_model(tiny_spec(), LazyTowers(tiny_spec().preset))
        model.load(tiny_state())
        learned = train(model, features.subset(np.arange(size)), config=config, round_number=1, seed=size)
        norm = float(np.sqrt(sum(float((array**2).sum()) for array in learned.delta.values())))
        steps = optimiser_steps(config, size)
        assert norm < steps * reachable_norm(tiny_state(), config)
        norms[str(size)], paces[str(size)] = norm, norm / steps**0.5
    assert outliers(paces, norm_bound=config.norm_bound) == []
    assert max(paces.values()) / min(paces.values()) < max(norms.values()) / min(norms.values())


def test_outliers_are_found_beyond_the_bound_and_only_among_three_or_more() -> None:
    assert outliers({"a": 1.0, "b": 1.1, "c": 5.6}, norm_bound=5.0) == ["c"]
    assert outliers({"a": 1.0, "b": 1.1, "c": 5.4}, norm_bound=5.0) == []
    assert outliers({"a": 1.0, "b": 100.0}, norm_bound=5.0) == []
    assert outliers({"a": 0.0, "b": 0.0, "c": 1.0}, norm_bound=5.0) == []


def test_reachable_norm_is_what_a_step_of_adam_can_reach_and_not_less() -> None:
    """The slow oracle is the optimiser itself, on the gradients that stretch it furthest."""
    torch = pytest.importorskip("torch")
    config = FederationConfig(preset="tiny", weight_decay=0.1, learning_rate=2e-3)
    start = {"w": np.linspace(-1, 1, 50, dtype=np.float32)}
    parameter = torch.nn.Parameter(torch.from_numpy(start["w"].copy()))
    optimiser = torch.optim.AdamW([parameter], lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = 200
    for step in range(steps):
        parameter.grad = torch.full((50,), 1000.0 if step % 7 == 0 else 1e-6)
        optimiser.step()
    moved = float(np.linalg.norm(parameter.detach().numpy() - start["w"]))
    assert 0 < moved <= steps * reachable_norm(start, config)


def test_a_stranger_s_long_reason_is_cut() -> None:
    def answer(message: Message) -> Message:
        record = ConfigRecord({"code": "x", "message": "word " * 10_000, "hint": ""})
        return Message(RecordDict({"refusal": record}), reply_to=message)

    assert len(one_round(HONEST[1], answer, HONEST[3]).rejections[0]) < 400


def test_state_of_a_reply_is_never_decoded_before_its_receipt_is_right() -> None:
    """Cheap checks come first: a wrong receipt is told even where the tensors are rubbish as well."""

    def answer(message: Message) -> Message:
        values = told(message)
        content = RecordDict(
            {
                "arrays": ArrayRecord({"x": to_record(constant(1))["log_scale"]}),
                "metrics": MetricRecord({"num-examples": HELD, "held": HELD, "loss": 1.0}),
                "receipt": ConfigRecord({"run": "other", "round": values["round"]}),
            }
        )
        return Message(content, reply_to=message)

    assert "run 'other'" in one_round(HONEST[1], answer, HONEST[3]).rejections[0]
