"""The API as it is served: a process of its own over a real database, cache, buckets and index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from security.signing_keys import SigningKeys
from tests.attacks.api.target import Target
from tests.integration.api.stacks import make_model_and_index, until_ready, with_catalogue


@pytest.fixture(scope="package")
def target() -> Iterator[Target]:
    with pytest.MonkeyPatch.context() as environment:
        # Attacks come faster than anybody may search.
        environment.setenv("TEJIDO_SEARCHES_PER_MINUTE", "0")
        with with_catalogue() as loaded:
            settings, stack = loaded.settings, loaded.stack
            make_model_and_index(settings)
            url = settings.required("api_url")
            with httpx.Client(base_url=url, timeout=60) as http:
                until_ready(http)
            keys = SigningKeys(Path(settings.required("signing_key_dir")))
            yield Target(url, keys, psutil.Process(stack.pids["api"]), stack.log("api"))


@pytest.fixture
def anonymous(target: Target) -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(base_url=target.url, timeout=60) as client:
        yield client


@pytest.fixture
def http(target: Target, anonymous: httpx.Client) -> httpx.Client:
    """A client that bears a reader's token."""
    anonymous.headers["Authorization"] = f"Bearer {target.token('reader')}"
    return anonymous
