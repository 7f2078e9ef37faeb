"""The API as its users meet it: a real process, a real database, a real cache, real pictures in S3."""

from __future__ import annotations

import base64
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.live_model import LiveModel
from api.wiring import connected
from catalog.etl import client_stores, load
from catalog.index import IndexStore
from catalog.objects import S3ObjectStore
from catalog.store import CatalogueStore
from core.settings import ClientBucket, Settings
from embedded.layout import Parts
from embedded.stack import Stack
from federation.encoder import Encoder
from federation.heads import initial_tensors, to_safetensors
from federation.presets import load_preset
from security.passwords import hash_password

pytestmark = pytest.mark.integration

PASSWORD = "a password for tests"
PRODUCTS = 120


@dataclass(frozen=True)
class Loaded:
    """A stack of this module's own, with a catalogue in it: an index made here would be live for everybody."""

    stack: Stack
    settings: Settings


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
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
                clients=client_stores([_client_bucket(settings)]),
                limit=PRODUCTS,
            )
            catalogue.put_user("ana", hash_password(PASSWORD), ["reader"])
        yield Loaded(stack, settings)


@pytest.fixture
def http(loaded: Loaded) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=loaded.settings.required("api_url"), timeout=30) as client:
        answer = client.post("/auth/token", data={"username": "ana", "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def ask(client: Any, query: str, **variables: Any) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    return answer["data"]


def test_a_reader_lists_the_catalogue_and_sees_its_pictures(http: httpx.Client) -> None:
    files = ask(http, "{ allFiles(limit: 100) { id productDisplayName s3Path createdAt } }")["allFiles"]
    assert len(files) == 100
    for file in files[::25]:
        picture = http.get(f"/files/{file['id']}/image")
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")


def test_a_filter_asks_the_database(http: httpx.Client) -> None:
    (first,) = ask(http, "{ allFiles(limit: 1) { baseColour gender } }")["allFiles"]
    query = "query ($c: String, $g: String) { filesByFilters(baseColour: $c, gender: $g) { baseColour gender } }"
    found = ask(http, query, c=first["baseColour"], g=first["gender"])["filesByFilters"]
    assert found
    assert all(file == first for file in found)


def test_without_an_index_the_process_says_what_it_waits_for(http: httpx.Client) -> None:
    answer = http.get("/readyz")
    assert answer.status_code == 503
    parts = answer.json()["parts"]
    assert parts["database"]["ready"]
    assert parts["cache"]["ready"]
    assert parts["search"] == {"ready": False, "missing": "no index is live"}


def test_the_process_is_small_until_it_has_a_model(loaded: Loaded, http: httpx.Client) -> None:
    ask(http, "{ allFiles(limit: 1) { id } }")
    process = psutil.Process(loaded.stack.pids["api"])
    assert process.memory_info().rss < 300 * 2**20


def test_logins_are_counted_in_valkey(http: httpx.Client) -> None:
    statuses = [http.post("/auth/token", data={"username": "bea", "password": "wrong"}).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


def test_searches_by_words_and_picture_meet_the_index_of_their_model(loaded: Loaded, http: httpx.Client) -> None:
    preset = load_preset("tiny")
    encoder = Encoder.load(preset, to_safetensors(initial_tensors(preset, seed=0)))
    files = ask(http, "{ allFiles(limit: 100) { id } }")["allFiles"]
    pictures = [http.get(f"/files/{file['id']}/image").content for file in files]
    services = connected(loaded.settings)
    index = IndexStore(loaded.settings.required("postgres_dsn"))
    version = index.begin("fashion-clip", "1", "v1", encoder.dimension)
    vectors = encoder.encode_images(pictures)
    index.add(version, [file["id"] for file in files], vectors)
    index.finish(version)
    index.verify(version, vectors[:10])
    index.swap(version)
    model = LiveModel(index.live, lambda _: encoder, poll_s=0.05)
    services = replace(services, search=replace(services.search, model=model))
    with TestClient(create_app(services), headers=dict(http.headers)) as client:
        until_ready(model)
        fields = "{ indexVersion modelVersion exact hits { score product { id } } }"
        by_text = f"query ($t: String!) {{ searchByText(text: $t, limit: 5) {fields} }}"
        answer = ask(client, by_text, t="red dress")["searchByText"]
        assert (answer["indexVersion"], answer["modelVersion"], answer["exact"]) == (version, "1", True)
        expected = np.argsort(-(vectors @ encoder.encode_texts(["red dress"])[0]))[:5]
        found = [hit["product"]["id"] for hit in answer["hits"]]
        assert len(set(found) & {files[position]["id"] for position in expected}) >= 4
        by_image = f"query ($i: String!) {{ searchByImage(image: $i, limit: 5) {fields} }}"
        encoded = base64.b64encode(pictures[7]).decode()
        best = ask(client, by_image, i=encoded)["searchByImage"]["hits"][0]
        assert best["score"] > 0.99
        assert ask(client, by_text, t="red dress")["searchByText"]["hits"] == answer["hits"]
    index.close()


def test_the_api_stops_when_told(loaded: Loaded) -> None:
    # Last in this module: it takes the stack's API away.
    process = psutil.Process(loaded.stack.pids["api"])
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=10) is not None or not process.is_running()


def _client_bucket(settings: Settings) -> ClientBucket:
    (entry,) = json.loads(Path(settings.required("clients_file")).read_text())
    return ClientBucket(**entry)


def until_ready(model: LiveModel) -> None:
    deadline = time.monotonic() + 10
    while model.missing():
        assert time.monotonic() < deadline
        time.sleep(0.02)
