"""The client's policy around the coordinator's programs: before they are unpacked, and before their reply leaves."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from clients.contracts import Contracts
from clients.guard import Guard, content_bytes
from federation.forking import OURS
from security.contracts import SignedContract
from security.receipt_keys import CONTRACT, verifies
from tests.test_architecture import PARTS
from tests.unit.security.contracts import TERMS, contract
from tests.unit.security.test_policy import RULES

BUNDLE = b"programs"
SHA256 = hashlib.sha256(BUNDLE).hexdigest()
MESSAGE: dict[str, Any] = TERMS | {"run": "run", "round": 1}
FOREVER = datetime(9998, 1, 1, tzinfo=UTC)
HEAD = len(Array(np.zeros(1000, np.uint8)).data) - 1000
CONTEXT = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={}, series_id=1)


@pytest.fixture(autouse=True)
def identity() -> None:
    """As Flower has it in the process of a message."""
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1


def message(kind: str = "train", **values: Any) -> Message:
    asked = Message(RecordDict({"config": ConfigRecord(MESSAGE | values)}), dst_node_id=1, message_type=kind)
    asked.metadata.__dict__["_message_id"] = "m"
    return asked


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.json"
    write(path)
    return path


def write(path: Path, **rules: Any) -> None:
    rules = RULES | {"expires": "9999-01-01", "bundles": [SHA256]} | rules
    path.write_text(json.dumps(rules))


def guarding(policy: Path, asked: Message, **terms: Any) -> Guard:
    """A guard of a message of a run with these terms."""
    is_publishing = asked.metadata.message_type == "query.publish"
    text = contract(bundle=SHA256, until=FOREVER, is_publishing=is_publishing, **terms).text()
    kept = Contracts(policy.parent / "receipts", "aurora")
    return Guard(policy, kept, asked, {"contract": text, "contract-signature": ""})


def asking(policy: Path, kind: str = "train", **terms: Any) -> Guard:
    """The same of a run whose message says what its contract says."""
    return guarding(policy, message(kind, **terms), **terms)


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
    reply, ran = answer(asking(policy))
    assert ran
    assert "arrays" in reply.content.array_records


@pytest.mark.parametrize(
    ("rules", "terms", "rule"),
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
    policy: Path, rules: dict[str, Any], terms: dict[str, Any], rule: str
) -> None:
    write(policy, **rules)
    reply, ran = answer(asking(policy, **terms))
    assert not ran
    assert refusal(reply)["code"] == "security.policy_refused"
    assert f'rule "{rule}"' in refusal(reply)["message"]
    assert set(reply.content.keys()) == {"refusal"}


def test_a_message_is_held_against_the_contract_of_its_run(policy: Path) -> None:
    reply, ran = answer(guarding(policy, message(trainable="lora")))
    assert not ran
    assert "rule \"contract\": trainable is 'lora', it says 'heads'" in refusal(reply)["message"]


@pytest.mark.parametrize("carried", [{}, {"contract": "{", "contract-signature": ""}])
def test_a_run_without_a_contract_gets_nothing(policy: Path, carried: dict[str, str]) -> None:
    guard = asking(policy)
    guard.run_config = carried
    reply, ran = answer(guard)
    assert (ran, refusal(reply)["code"]) == (False, "security.contract_unreadable")


def test_what_is_allowed_goes_with_the_client_s_signature_and_the_contract_is_kept_once(policy: Path) -> None:
    asked = asking(policy)
    for guard in (asked, asking(policy, "query")):
        reply, _ = answer(guard)
        told = reply.content.config_records["contract"]
        text = guard.run_config["contract"]
        assert told["sha256"] == hashlib.sha256(text.encode()).hexdigest()
        said = SignedContract.of(guard.run_config).of_client("aurora")
        assert verifies(str(told["key"]), said, str(told["signature"]), CONTRACT)
    (kept,) = Contracts(policy.parent / "receipts", "aurora").read()
    assert (kept["sha256"], kept["contract"]["run"], kept["is_signed"]) == (told["sha256"], "run", False)


def test_nothing_is_signed_that_is_refused(policy: Path) -> None:
    reply, _ = answer(asking(policy, trainable="full"))
    assert "contract" not in reply.content.config_records
    assert not list(Contracts(policy.parent / "receipts", "aurora").read())


def test_a_contract_that_cannot_be_kept_lets_nothing_in(policy: Path) -> None:
    (policy.parent / "receipts").write_text("in the way")
    reply, ran = answer(asking(policy))
    assert (ran, refusal(reply)["code"]) == (False, "clients.contract_unwritable")


@pytest.mark.parametrize("content", ["", "{", '{"version": 1}'])
def test_a_policy_that_cannot_be_read_refuses_everything(policy: Path, content: str) -> None:
    policy.write_text(content)
    for kind in ("train", "query", "query.publish"):
        reply, ran = answer(asking(policy, kind))
        assert (ran, refusal(reply)["code"]) == (False, "security.policy_invalid")
    policy.unlink()
    assert refusal(answer(asking(policy))[0])["code"] == "security.policy_invalid"


def test_a_client_may_change_its_mind_while_it_trains(policy: Path) -> None:
    reply, ran = answer(asking(policy), during=lambda: write(policy, trainable=["lora"]))
    assert ran
    assert 'rule "trainable"' in refusal(reply)["message"]
    reply, ran = answer(asking(policy, trainable="lora"), during=policy.unlink)
    assert (ran, refusal(reply)["code"]) == (True, "security.policy_invalid")


def test_a_reply_that_is_too_large_does_not_leave(policy: Path) -> None:
    # An array of so many bytes travels with a head of its own.
    write(policy, max_update_bytes=1000 + HEAD)
    assert "arrays" in answer(asking(policy), 1000)[0].content.array_records
    reply, ran = answer(asking(policy), 1001)
    assert ran
    assert 'rule "max_update_bytes"' in refusal(reply)["message"]
    # What may be published is said in the client's bucket.
    assert "arrays" in answer(asking(policy, "query.publish"), 1001)[0].content.array_records


def test_a_crash_of_the_bundle_stays_one(policy: Path) -> None:
    asked = message()
    guard = guarding(policy, asked)
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


def test_it_loads_nothing_of_ours_that_it_does_not_forget() -> None:
    """Else the bundle would run with what is installed here in place of its own."""
    parts = sorted(name for name in PARTS if name not in OURS)
    looks = f"import sys, clients.guard; print([n for n in sys.modules if n.split('.')[0] in {parts}])"
    done = subprocess.run([sys.executable, "-c", looks], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
