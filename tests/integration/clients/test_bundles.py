"""A real SuperNode, its ClientApps, and a bundle that the client's policy does not allow."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from clients.contracts import Contracts
from embedded.environments import policy_path
from embedded.stack import Stack
from security.contracts import SignedContract
from security.receipt_keys import CONTRACT, verifies
from tests.integration.clients.apps import Probe
from tests.integration.clients.conftest import CLIENTS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
BOTH, LIMIT = len(CLIENTS), 1000


@dataclass(frozen=True)
class Heard:
    """What came of one run."""

    said: dict[str, dict[str, Any]]
    ran: int
    """On how many clients the bundle's own code ran."""


@pytest.fixture(scope="module")
def heard(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Heard]:
    """Six runs at the same time."""
    folder = tmp_path_factory.mktemp("probes")
    signed, altered = Probe.at(folder / "signed"), Probe.at(folder / "altered", build=1)
    contract = signed.contract(stack, folder)
    runs: dict[str, tuple[Probe, dict[str, Any]]] = {
        "bare": (signed, {}),
        "unsigned": (signed, {"contract": contract | {"contract-signature": ""}}),
        "altered": (altered, {"contract": contract}),
        "other": (signed, {"contract": contract, "trainable": "lora"}),
        "signed": (signed, {"contract": contract}),
        "large": (signed, {"contract": contract, "size": LIMIT + 1}),
    }
    # Aurora lets less out than Boreal does.
    path = policy_path(stack.state, "aurora")
    before = path.read_text()
    path.write_text(re.sub(r"max_update_bytes = \w+", f"max_update_bytes = {LIMIT}", before))
    with ThreadPoolExecutor() as pool:
        asked = {
            name: pool.submit(probe.ask, stack, folder / f"{name}.json", nodes=BOTH, **more)
            for name, (probe, more) in runs.items()
        }
        found = {name: Heard(*future.result()) for name, future in asked.items()}
    path.write_text(before)
    return found


def signed_by(client: str, kept: dict[str, Any]) -> bytes:
    """What a client has signed of a contract that it keeps."""
    return SignedContract.of({"contract": kept["text"], "contract-signature": ""}).of_client(client)


@pytest.mark.parametrize("run", ["unsigned", "altered"])
def test_a_bundle_that_the_operator_did_not_sign_just_so_is_never_loaded(heard: dict[str, Heard], run: str) -> None:
    refusals = {name: answer["refusal"] for name, answer in heard[run].said.items()}
    assert {name: told["code"] for name, told in refusals.items()} == dict.fromkeys(CLIENTS, "security.policy_refused")
    assert all('rule "bundle"' in told["message"] for told in refusals.values())
    assert heard[run].ran == 0


def test_a_run_without_a_contract_is_never_loaded(heard: dict[str, Heard]) -> None:
    codes = {name: answer["refusal"]["code"] for name, answer in heard["bare"].said.items()}
    assert codes == dict.fromkeys(CLIENTS, "security.contract_unreadable")
    assert heard["bare"].ran == 0


def test_a_message_that_leaves_its_run_s_contract_is_never_loaded(heard: dict[str, Heard]) -> None:
    refusals = [answer["refusal"]["message"] for answer in heard["other"].said.values()]
    assert len(refusals) == BOTH
    assert all("rule \"contract\": trainable is 'lora'" in told for told in refusals)
    assert heard["other"].ran == 0


def test_one_that_is_signed_is_loaded_and_each_client_signs_the_contract_too(
    heard: dict[str, Heard], stack: Stack
) -> None:
    assert heard["signed"].ran == BOTH
    keys = set()
    for name, said in heard["signed"].said.items():
        assert said["done"] == {"text": "x"}
        (kept,) = [told for told in Contracts.of(stack.client_settings(name)).read()
                   if told["contract"]["run"] == "probe"]  # fmt: skip
        assert (kept["sha256"], kept["is_signed"]) == (said["contract"]["sha256"], True)
        assert verifies(said["contract"]["key"], signed_by(name, kept), said["contract"]["signature"], CONTRACT)
        keys.add(said["contract"]["key"])
    assert len(keys) == BOTH


def test_a_client_s_own_rules_are_held_against_what_leaves_for_it_alone(heard: dict[str, Heard]) -> None:
    assert heard["large"].said["boreal"]["done"] == {"text": "x" * (LIMIT + 1)}
    assert 'rule "max_update_bytes": 1,001 bytes' in heard["large"].said["aurora"]["refusal"]["message"]
    assert heard["large"].ran == BOTH
