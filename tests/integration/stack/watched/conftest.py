"""The shared stack, once it has trained, promoted, indexed and has somebody to search it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from catalog.store import CatalogueStore
from core.progress import NoProgress
from core.settings import Settings
from embedded.stack import Stack
from security.passwords import hash_password
from server.checkpoints import RunFolder
from server.indexing import build_index
from server.promotion import promote
from server.stores import open_stores
from tests.integration.stack.watched.scraping import until

READER, PASSWORD = "ana", "a password for tests"


@pytest.fixture(scope="package")
def settings(stack: Stack, shared_run: dict[str, Any]) -> Settings:
    """A platform with a champion, an index of it, and a reader."""
    found = stack.settings()
    # Other tests on this stack train models too, and other catalogues: this one is to be judged on none of them.
    promote(found, version=shared_run["mlflow"]["version"], override="The test of the dashboards looks at this run.")
    build_index(found, NoProgress())
    _say_again(RunFolder(open_stores(found).checkpoints, shared_run["run_id"]))
    with CatalogueStore(found.required("postgres_dsn")) as rows:
        rows.put_user(READER, hash_password(PASSWORD), ["reader"])
    return found


def _say_again(folder: RunFolder) -> None:
    """Other tests may have begun runs since: the last word makes this one the last, with what it said itself."""
    status = {name: value for name, value in (folder.status() or {}).items() if name != "at"}
    folder.say(**status)


@pytest.fixture(scope="package")
def reader(settings: Settings) -> Iterator[httpx.Client]:
    """Who searches."""
    with httpx.Client(base_url=settings.required("api_url"), timeout=30) as client:
        answer = client.post("/auth/token", data={"username": READER, "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        until(lambda: client.get("/readyz").is_success, within_s=90, otherwise=lambda: client.get("/readyz").text)
        yield client
