"""An API over the fakes, with and without a reader's token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from api.auth import Logins
from api.context import Services
from api.health import Readiness
from api.image_urls import ImageUrls
from api.limits import LoginLimits
from api.live_model import LiveModel
from api.metrics import ApiMetrics
from api.pictures import Pictures
from api.search import Search
from api.vectors import QueryVectors
from security.links import PictureLinks
from security.signing_keys import SigningKeys
from security.tokens import AccessTokens
from tests.unit.api.fakes import (
    PASSWORD_HASH,
    READER,
    SCRAPER_TOKEN,
    FakeEncoder,
    FakeIndex,
    FakePictures,
    FakeReader,
    FakeRows,
    FakeValkey,
    Parts,
)


@pytest.fixture(scope="session")
def signing_keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    return SigningKeys.open(tmp_path_factory.mktemp("signing"))


@pytest.fixture
def parts(signing_keys: SigningKeys) -> Parts:
    files, valkey, encoder = FakeRows(), FakeValkey(), FakeEncoder()
    index = FakeIndex(files)
    files.put_user("ana", PASSWORD_HASH, ["reader"])
    files.put_user("nadie", PASSWORD_HASH, [])
    tokens = AccessTokens(signing_keys)
    model = LiveModel(index.live, lambda version: replace(encoder, space=version.id), poll_s=0.01)
    metrics = ApiMetrics()
    services = Services(
        logins=Logins(files, LoginLimits(valkey), tokens),
        files=files,
        search=Search(model, QueryVectors(valkey, metrics), index, files, metrics),
        pictures=Pictures(files, FakePictures()),
        image_urls=ImageUrls(PictureLinks(b"a key for tests" * 3), {"client-aurora": FakeReader()}, (READER,)),
        readiness=Readiness({"database": files.ping, "search": model.missing}),
        metrics=metrics,
        metrics_token=SCRAPER_TOKEN,
    )
    return Parts(files, index, encoder, valkey, tokens, services)


@pytest.fixture
def app(parts: Parts) -> FastAPI:
    return create_app(parts.services)


@pytest.fixture
def anonymous(app: FastAPI) -> Iterator[TestClient]:
    """A client without a token, of an API whose index 1 is live."""
    app.state.services.search.index.swap(1, "1")
    app.state.services.search.model.refresh()
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(anonymous: TestClient, parts: Parts) -> TestClient:
    """A client that bears a reader's token."""
    anonymous.headers["Authorization"] = f"Bearer {parts.tokens.issue('ana', ['reader'])}"
    return anonymous
