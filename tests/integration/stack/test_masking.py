"""Confidential rounds between real processes: a SuperLink, three SuperNodes, and a process for each message."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import pytest

from core.progress import NoProgress
from embedded.stack import Stack
from federation.config import FederationConfig
from server.runs import run_federation
from server.tracking import Tracker
from tests.integration.stack.shared import CLIENTS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
CONFIG = FederationConfig(preset="tiny", rounds=2, local_epochs=2, mode="confidential", clip_norm=0.05)


def test_every_client_masks_in_every_round_and_its_keys_outlive_each_message_s_process(
    stack: Stack, shared_catalogue: dict[str, Any]
) -> None:
    """Between the stages a client's state is in its SuperNode; that it gets it back is what this shows."""
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
    tracker = Tracker(result["mlflow"]["tracking_uri"])
    assert tracker.run(result["mlflow"]["run_id"]).params["mode"] == "confidential"
