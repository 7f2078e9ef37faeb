"""The client's policy around the coordinator's programs: before they are unpacked, and before their reply leaves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from clients.guard import Guard, content_bytes
from tests.unit.security.test_policy import RULES

BUNDLE = b"programs"
CONFIG: dict[str, Any] = {"trainable": "heads", "mode": "robust", "rounds": 3, "round": 1, "privacy": "none"}
HEAD = len(Array(np.zeros(1000, np.uint8)).data) - 1000
CONTEXT = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={}, series_id=1)


@pytest.fixture(autouse=True)
def identity() -> None:
    """As Flower has it in the process of a message."""
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1


def message(kind: str = "train", **values: Any) -> Message:
    asked = Message(RecordDict({"config": ConfigRecord(CONFIG | values)}), dst_node_id=1, message_type=kind)
    asked.metadata.__dict__["_message_id"] = "m"
    return asked


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.json"
    write(path)
    return path


def write(path: Path, **rules: Any) -> None:
    rules = RULES | {"expires": "9999-01-01", "bundles": [hashlib.sha256(BUNDLE).hexdigest()]} | rules
    path.write_text(json.dumps(rules))


def answer(guard: Guard, size: int = 10, *, during: Any = None) -> tuple[Message, bool]:
    """What goes back to the coordinator, and whether the bundle's code ran."""
    ran = []

    def app(message: Message, context: Context) -> Message:
        ran.append(True)
        if during is not None:
            during()
        arrays = ArrayRecord({"a": Array(np.zeros(size, np.uint8))})
        return Message(RecordDict({"arrays": arrays}), reply_to=message)

    assert guard.message is not None
    guard.admit(BUNDLE)
    reply = guard.reply(app if not guard.refusal else None, guard.message, CONTEXT)
    return reply, bool(ran)


def refusal(reply: Message) -> dict[str, Any]:
    return dict(reply.content.config_records["refusal"])


def test_what_is_allowed_runs_and_leaves_as_it_is(policy: Path) -> None:
    reply, ran = answer(Guard(policy, message()))
    assert ran
    assert "arrays" in reply.content.array_records


@pytest.mark.parametrize(
    ("rules", "values", "rule"),
    [
        ({"bundles": ["0" * 64]}, {}, "bundle"),
        ({"expires": "2020-01-01"}, {}, "expires"),
        ({}, {"trainable": "full"}, "trainable"),
        ({}, {"mode": "confidential"}, "modes"),
        ({}, {"rounds": 1000}, "max_rounds"),
        ({"min_noise_multiplier": 1.0}, {}, "min_noise_multiplier"),
    ],
)
def test_what_is_refused_is_never_loaded_and_the_coordinator_hears_the_rule(
    policy: Path, rules: dict[str, Any], values: dict[str, Any], rule: str
) -> None:
    write(policy, **rules)
    reply, ran = answer(Guard(policy, message(**values)))
    assert not ran
    assert refusal(reply)["code"] == "security.policy_refused"
    assert f'rule "{rule}"' in refusal(reply)["message"]
    assert set(reply.content.keys()) == {"refusal"}


@pytest.mark.parametrize("content", ["", "{", '{"version": 1}'])
def test_a_policy_that_cannot_be_read_refuses_everything(policy: Path, content: str) -> None:
    policy.write_text(content)
    for kind in ("train", "query", "query.publish"):
        reply, ran = answer(Guard(policy, message(kind)))
        assert (ran, refusal(reply)["code"]) == (False, "security.policy_invalid")
    policy.unlink()
    assert refusal(answer(Guard(policy, message()))[0])["code"] == "security.policy_invalid"


def test_a_client_may_change_its_mind_while_it_trains(policy: Path) -> None:
    reply, ran = answer(Guard(policy, message()), during=lambda: write(policy, trainable=["lora"]))
    assert ran
    assert 'rule "trainable"' in refusal(reply)["message"]
    reply, ran = answer(Guard(policy, message(trainable="lora")), during=policy.unlink)
    assert (ran, refusal(reply)["code"]) == (True, "security.policy_invalid")


def test_a_reply_that_is_too_large_does_not_leave(policy: Path) -> None:
    # An array of so many bytes travels with a head of its own.
    write(policy, max_update_bytes=1000 + HEAD)
    assert "arrays" in answer(Guard(policy, message()), 1000)[0].content.array_records
    reply, ran = answer(Guard(policy, message()), 1001)
    assert ran
    assert 'rule "max_update_bytes"' in refusal(reply)["message"]
    # What may be published is said in the client's bucket.
    assert "arrays" in answer(Guard(policy, message("query.publish")), 1001)[0].content.array_records


def test_a_crash_of_the_bundle_stays_one(policy: Path) -> None:
    asked = message()
    guard = Guard(policy, asked)
    guard.admit(BUNDLE)
    crashed = Message(Error(code=0, reason="it failed"), reply_to=asked)
    assert guard.reply(lambda message, context: crashed, asked, CONTEXT) is crashed


def test_bytes_are_those_of_every_record() -> None:
    content = RecordDict(
        {
            "arrays": ArrayRecord({"a": Array(np.zeros(3, np.float32))}),
            "metrics": MetricRecord({"n": 1, "list": [1.0, 2.0]}),
            "config": ConfigRecord({"text": "é", "bytes": b"123", "texts": ["ab", "c"], "flag": True}),
        }
    )
    arrays = len(content.array_records["arrays"]["a"].data)
    assert arrays >= 12
    assert content_bytes(content) == arrays + 3 * 8 + 2 + 3 + 3 + 8
