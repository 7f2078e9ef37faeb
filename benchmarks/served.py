"""A stack that serves a catalogue, with a champion and its index, to be asked by benchmarks."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.deployed import CLIENTS
from benchmarks.load import Asked, Check, post
from catalog.etl import client_stores, load
from catalog.store import CatalogueStore
from core.progress import NoProgress
from core.settings import ClientBucket, Settings
from embedded.layout import Parts
from embedded.stack import Stack
from federation.config import FederationConfig
from federation.encoding import LazyTowers
from federation.model import initial_state
from federation.spec import ModelSpec
from security.passwords import hash_password
from server.indexing import build_index
from server.models import write_model
from server.sealing import Seals
from server.stores import open_stores
from server.tracking import CHAMPION, FEDERATED_EXPERIMENT, Tracker

WORDS = ("navy blue checked shirt", "red dress", "black leather shoes", "silver watch for women", "running shoes")
FIELDS = (
    "id filename s3Path gender masterCategory subCategory articleType baseColour season year usage brand "
    "productDisplayName dataset owner origin split createdAt"
)
QUERY = (
    "query ($text: String!) { searchByText(text: $text, first: 20) "
    "{ indexVersion modelVersion exact edges { score node { " + FIELDS + " } } } }"
)
PASSWORD = "a password for benchmarks"  # noqa: S105  # of a stack that lives for a minute


@dataclass(frozen=True)
class Api:
    """A stack with a catalogue, a model and an index, and a reader's token."""

    settings: Settings
    url: str
    token: str
    spec: ModelSpec
    env_file: Path

    def ask(self, words: str) -> dict[str, Any]:
        """One search, now."""
        answer = httpx.post(
            f"{self.url}/graphql",
            json={"query": QUERY, "variables": {"text": words}},
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
        ).json()
        return dict(answer["data"]["searchByText"])

    def searches(self, check: Callable[[str], Check]) -> list[Asked]:
        """One request for each of WORDS; ``check`` gives what looks at its answers."""
        return [
            post(f"{self.url}/graphql", {"query": QUERY, "variables": {"text": words}}, self.token, check(words))
            for words in WORDS
        ]


@contextmanager
def running(source: str, products: int, preset: str) -> Iterator[Api]:
    """The stack in a folder of its own; its champion are untrained heads."""
    # One user asks as fast as can be, which is more often than one may.
    os.environ["TEJIDO_SEARCHES_PER_MINUTE"] = "0"
    with (
        tempfile.TemporaryDirectory(prefix="tj-") as folder,
        Stack(Path(folder), CLIENTS, parts=Parts(airflow=False, federation=False)) as stack,
    ):
        settings = stack.settings()
        buckets = json.loads(Path(settings.required("clients_file")).read_text())
        with CatalogueStore(settings.required("postgres_dsn")) as rows:
            clients = client_stores(ClientBucket(**bucket) for bucket in buckets)
            load(source, store=open_stores(settings).data, catalogue=rows, clients=clients, limit=products)
            rows.put_user("ana", hash_password(PASSWORD), ["reader"])
        spec = ModelSpec.of(FederationConfig(preset=preset))
        make_champion(settings, spec, seed=0)
        build_index(settings, NoProgress())
        url = settings.required("api_url")
        token = httpx.post(f"{url}/auth/token", data={"username": "ana", "password": PASSWORD}).json()["access_token"]
        until_ready(url)
        yield Api(settings, url, str(token), spec, stack.platform_env)


def make_champion(settings: Settings, spec: ModelSpec, *, seed: int) -> None:
    """Register heads that differ by ``seed`` and no more than an update of training makes them."""
    state = initial_state(spec, LazyTowers(spec.preset))
    if seed:
        name = next(iter(state))
        state = {**state, name: state[name] * (1 + 0.01 * seed)}
    tracker = Tracker.of(settings)
    with tempfile.TemporaryDirectory() as folder:
        run = tracker.start(FEDERATED_EXPERIMENT, f"seed {seed}", params={})
        seals = Seals.of(settings)
        content_hash = write_model(Path(folder), spec, state, card="For a benchmark.", seals=seals, run=run)
        version = tracker.register(run, Path(folder), tags={"content_hash": content_hash, "preset": spec.preset.name})
    tracker.set_alias(CHAMPION, version)


def until_ready(url: str) -> None:
    """Wait until searches are answered."""
    while not httpx.get(f"{url}/readyz").is_success:
        time.sleep(0.2)
