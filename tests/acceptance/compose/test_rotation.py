"""Both kinds of keys are changed by the commands of the documentation, while the deployment answers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.acceptance.compose.deployment import Deployment, wait_until
from tests.acceptance.compose.engine import run
from tests.acceptance.compose.use import API, search, search_when_ready

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]
TOO_EARLY = 75


def rotate(deployment: Deployment, how: str) -> tuple[int, dict[str, Any]]:
    """Exit status of a rotation inside the API's container, and what it says."""
    done = deployment.execute("api", "tejido", "keys", "rotate", how, "--format", "json")
    said: dict[str, Any] = json.loads(done.stdout or done.stderr)
    return done.returncode, said


def kids() -> set[str]:
    """The keys that the API publishes."""
    answer = httpx.get(f"{API}/.well-known/jwks.json", timeout=30, trust_env=False).raise_for_status()
    return {key["kid"] for key in answer.json()["keys"]}


def test_another_key_is_published_first_and_refuses_nobody(deployment: Deployment, token: str) -> None:
    (signs,) = kids()
    status, said = rotate(deployment, "--no-wait")
    assert status == 0
    (published,) = said["steps"]
    wait_until("the API follows", lambda: kids() == {signs, published["kid"]}, within_s=10)
    assert len(search(token)) == 3
    status, said = rotate(deployment, "--no-wait")
    assert (status, said["error"]["code"]) == (TOO_EARLY, "security.rotation_too_early")
    assert len(search(token)) == 3


def test_a_stolen_key_s_tokens_end_at_once(deployment: Deployment, token: str) -> None:
    before = kids()
    status, said = rotate(deployment, "--now")
    assert status == 0
    assert {step["kid"] for step in said["steps"] if step["action"] == "retired"} == before
    wait_until("the API follows", lambda: kids().isdisjoint(before), within_s=10)
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        search(token)
    assert len(search(deployment.tejido("token")["access_token"])) == 3


def test_the_keys_of_models_are_changed_while_they_are_served(deployment: Deployment, token: str) -> None:
    setup = ("run", "--rm", "-T", "setup", "tejido", "setup", "files", "--rotate-artifacts")
    deployment.compose(*setup, "begin")
    assert len(search(token)) == 3
    # Set-up has no way to the stores, and waits for the word of who has.
    with pytest.raises(RuntimeError, match="--rewrap"):
        deployment.compose(*setup, "retire")
    done = deployment.tejido("keys", "rotate", "--artifacts", "--rewrap")
    for work in ("rewrapped", "resigned"):
        assert done[work]["checkpoints"] > 0
        assert done[work]["models"] > 0
    deployment.compose(*setup, "retire")
    # Only a process that begins now reads the champion by its new wrapping and its new signature alone.
    run("docker", "restart", deployment.container("api"))
    assert len(search_when_ready(token)) == 3
