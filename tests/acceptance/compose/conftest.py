"""One deployment for all files of this folder, which go through a deployment's life in their order."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.compose.deployment import Deployment
from tests.acceptance.compose.engine import build_images, engine
from tests.acceptance.compose.use import AIRFLOW


@pytest.fixture(scope="package")
def deployment(fashion_dir: Path) -> Iterator[Deployment]:
    with tempfile.TemporaryDirectory(prefix="tj-compose-") as folder, engine():
        build_images()
        found = Deployment(f"tj{uuid.uuid4().hex[:6]}", Path(folder), fashion_dir)
        try:
            yield found
        finally:
            found.down(with_volumes=True)


@pytest.fixture(scope="package")
def airflow(deployment: Deployment) -> Iterator[httpx.Client]:
    password = deployment.compose(
        *("--profile", "debug", "run", "--rm", "-T", "--no-deps", "--entrypoint", "cat"),
        *("cli", "/run/tejido/airflow-password"),
    )  # fmt: skip
    with httpx.Client(base_url=AIRFLOW, timeout=60, trust_env=False) as http:
        answer = http.post("/auth/token", json={"username": "admin", "password": password.split()[-1]})
        http.headers["authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
        yield http


@pytest.fixture
def token(deployment: Deployment) -> str:
    """An access token of the administrator's."""
    found: str = deployment.tejido("token")["access_token"]
    return found
