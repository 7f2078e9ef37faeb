"""A platform that people can open in a browser: real products, two federated runs, a champion, its index, two users."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from catalog.etl import client_stores, load
from catalog.store import CatalogueStore
from core.progress import NoProgress
from core.settings import ClientBucket, Settings
from embedded.layout import Parts
from embedded.stack import Stack
from federation.config import FederationConfig
from security.passwords import hash_password
from server.indexing import build_index
from server.promotion import promote
from server.runs import run_federation
from server.stores import open_stores

CLIENTS = ("aurora", "boreal", "cobre")
PRODUCTS = 400
RUNS = {"page-first": FederationConfig(rounds=1), "page-second": FederationConfig(rounds=2, seed=1)}
"""Key → config: the first run's model goes live, then the second's takes its place."""
READER, OPERATOR, PASSWORD = "ana", "olga", "a password for tests"
READY_S = 120.0
FRESH_S = 600.0


@dataclass(frozen=True)
class Platform:
    """Where its page is, and the model versions in the order in which they went live."""

    url: str
    settings: Settings
    versions: tuple[str, ...]
    _tokens: dict[str, tuple[str, float]] = field(default_factory=dict)

    def token(self, name: str) -> str:
        """One that is still good for a while. Logins are counted, so not every test can be one."""
        token, since = self._tokens.get(name, ("", -FRESH_S))
        if time.monotonic() - since >= FRESH_S:
            answer = httpx.post(f"{self.url}/auth/token", data={"username": name, "password": PASSWORD}, timeout=30)
            token = answer.raise_for_status().json()["access_token"]
            self._tokens[name] = token, time.monotonic()
        return token

    def wait_for_index(self, version: int) -> None:
        """Until searches are answered by this version of the index."""
        query = {"query": '{ searchByText(text: "shirt", first: 1) { indexVersion } }'}
        headers = {"Authorization": f"Bearer {self.token(READER)}"}
        deadline = time.monotonic() + READY_S
        while True:
            answer = httpx.post(f"{self.url}/graphql", json=query, headers=headers, timeout=30).json()
            if answer["data"]["searchByText"]["indexVersion"] == version:
                return
            assert time.monotonic() < deadline, answer
            time.sleep(0.2)


@contextmanager
def platform(state: Path, fashion: Path) -> Iterator[Platform]:
    """Everything that the page shows, in about a minute: stores, MLflow, SuperLink, SuperNodes and the API."""
    with Stack(state, CLIENTS, parts=Parts(airflow=False)) as stack:
        settings = stack.settings()
        _publish(settings, fashion)
        versions = tuple(_trained_and_live(settings, key, config) for key, config in RUNS.items())
        url = settings.required("api_url")
        _until_ready(url)
        yield Platform(url, settings, versions)


def _publish(settings: Settings, fashion: Path) -> None:
    clients = json.loads(Path(settings.required("clients_file")).read_text())
    buckets = client_stores(ClientBucket(**client) for client in clients)
    with CatalogueStore(settings.required("postgres_dsn")) as rows:
        data = open_stores(settings).data
        load(f"dir:{fashion}", store=data, catalogue=rows, clients=buckets, limit=PRODUCTS)
        rows.put_user(READER, hash_password(PASSWORD), ["reader"])
        rows.put_user(OPERATOR, hash_password(PASSWORD), ["operator"])


def _trained_and_live(settings: Settings, key: str, config: FederationConfig) -> str:
    version = str(run_federation(settings, config, key, NoProgress())["mlflow"]["version"])
    # What is tested is the page: which of two small models is better, and by how much, must not decide it.
    promote(settings, version=version, override="The tests of the page show two models.")
    build_index(settings, NoProgress())
    return version


def _until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_S
    while not (answer := httpx.get(f"{url}/readyz", timeout=10)).is_success:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
