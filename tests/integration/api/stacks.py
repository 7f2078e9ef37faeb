"""A stack with a small catalogue, and how tests talk to its API."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from catalog.etl import client_stores, load
from catalog.objects import S3ObjectStore
from catalog.store import CatalogueStore
from core.progress import NoProgress
from core.settings import ClientBucket, Settings
from embedded.layout import Parts
from embedded.stack import Stack
from server.indexing import build_index
from server.models import write_model
from server.sealing import Seals
from server.tracking import CHAMPION, FEDERATED_EXPERIMENT, Tracker
from tests.models import tiny_spec, tiny_state

PASSWORD = "a password for tests"
PRODUCTS = 120


@dataclass(frozen=True)
class Loaded:
    """A stack of this module's own, with a catalogue in it: an index made here would be live for everybody."""

    stack: Stack
    settings: Settings


@contextmanager
def with_catalogue() -> Iterator[Loaded]:
    """A stack of one client in a folder of its own, with a small catalogue and no users."""
    with (
        tempfile.TemporaryDirectory(prefix="tejido-test-") as folder,
        Stack(Path(folder), ("aurora",), parts=Parts(airflow=False, federation=False)) as stack,
    ):
        settings = stack.settings()
        with CatalogueStore(settings.required("postgres_dsn")) as catalogue:
            load(
                "synthetic",
                store=S3ObjectStore(settings.platform_bucket("data")),
                catalogue=catalogue,
                clients=client_stores([client_bucket(settings)]),
                limit=PRODUCTS,
            )
        yield Loaded(stack, settings)


@contextmanager
def signed_in(loaded: Loaded, username: str) -> Iterator[httpx.Client]:
    """A client that bears a user's token."""
    with httpx.Client(base_url=loaded.settings.required("api_url"), timeout=30) as client:
        answer = client.post("/auth/token", data={"username": username, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def ask(client: Any, query: str, **variables: Any) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    return answer["data"]


@dataclass(frozen=True)
class Made:
    """A champion and the index that it built."""

    version: str
    index: int


def make_model_and_index(settings: Settings, *, seed: int = 0) -> Made:
    """Register untrained heads over random towers as champion, and index the catalogue with them."""
    tracker = Tracker.of(settings)
    version = register_model(tracker, seed=seed, seals=Seals.of(settings))
    tracker.set_alias(CHAMPION, version)
    return Made(version, build_index(settings, NoProgress())["version"])


def register_model(tracker: Tracker, *, seed: int, seals: Seals | None) -> str:
    """Register untrained heads over random towers, sealed as the coordinator does; returns the version."""
    run = tracker.start(FEDERATED_EXPERIMENT, "test", params={})
    with tempfile.TemporaryDirectory() as name:
        folder, state = Path(name), tiny_state(seed=seed)
        content_hash = write_model(folder, tiny_spec(), state, card="For tests.", seals=seals, run=run)
        return tracker.register(run, folder, tags={"content_hash": content_hash, "preset": "tiny"})


def until_ready(http: httpx.Client, *, within_s: float = 90) -> None:
    deadline = time.monotonic() + within_s
    while not (answer := http.get("/readyz")).is_success:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def client_bucket(settings: Settings) -> ClientBucket:
    (entry,) = json.loads(Path(settings.required("clients_file")).read_text())
    return ClientBucket(**entry)
