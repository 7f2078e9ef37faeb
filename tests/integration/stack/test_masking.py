"""Confidential rounds between real processes: a SuperLink, three SuperNodes, and a process for each message."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clients.receipts import signing_key
from core.progress import NoProgress
from embedded.environments import policy_path
from embedded.stack import Stack
from federation.config import FederationConfig
from server.errors import ServerError
from server.runs import run_federation, run_status
from server.tracking import Tracker
from tests.integration.stack.shared import CLIENTS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
CONFIG = FederationConfig(preset="tiny", rounds=2, local_epochs=2, mode="confidential", clip_norm=0.05)


@pytest.fixture
def knows(stack: Stack) -> Iterator[Callable[..., None]]:
    """Lets a client mask with clients whose keys it knows, and no others."""
    before = {name: policy_path(stack.state, name).read_text() for name in CLIENTS}

    def know(client: str, *others: str) -> None:
        peers = [signing_key(stack.client_settings(name)).public for name in others]
        policy_path(stack.state, client).write_text(f"peers = {json.dumps(peers)}\n{before[client]}")

    yield know
    for name, text in before.items():
        policy_path(stack.state, name).write_text(text)


def test_a_client_reveals_nothing_among_clients_that_it_does_not_know(
    stack: Stack, shared_catalogue: dict[str, Any], knows: Callable[..., None]
) -> None:
    """As it would be if the coordinator played one of them itself."""
    knows("cobre", "aurora")
    key = f"strangers-{uuid.uuid4().hex[:8]}"
    with pytest.raises(ServerError):
        run_federation(stack.settings(), dataclasses.replace(CONFIG, round_retries=0), key, NoProgress())
    assert "rule \"peers\": 'boreal' is not known" in run_status(stack.settings(), key)["error"]["message"]


def test_every_client_masks_in_every_round_and_its_keys_outlive_each_message_s_process(
    stack: Stack, shared_catalogue: dict[str, Any], knows: Callable[..., None]
) -> None:
    """Between the stages a client's state is in its SuperNode; that it gets it back is what this shows."""
    for name in CLIENTS:
        knows(name, *(other for other in CLIENTS if other != name))
    private = dataclasses.replace(CONFIG, privacy="client-level", noise_multiplier=2.0)
    result = run_federation(stack.settings(), private, f"masked-{uuid.uuid4().hex[:8]}", NoProgress())
    for entry in result["rounds"]:
        stages = {
            name: entry["masking"].get(name) for name in ("threshold", "advertised", "shared", "masked", "revealed")
        }
        assert stages == dict.fromkeys(stages, 3), entry
        assert (entry["replies"], entry["attempts"], entry["rejections"], entry["norms"]) == (3, 1, [], {})
        assert set(entry["coverage"]) == set(CLIENTS)
    assert (result["mode"], result["privacy"]["noise"]) == ("confidential", "shares")
    tracker = Tracker.of(stack.settings())
    assert tracker.run(result["mlflow"]["run_id"]).params["mode"] == "confidential"
