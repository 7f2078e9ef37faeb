"""An API over the fakes, with and without a reader's token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from api.auth import Logins, MachineLogins
from api.catching_up import CatchingUp
from api.comparison import Comparison
from api.context import Services
from api.curating import Curating
from api.encoder_shelf import EncoderShelf
from api.health import Readiness
from api.image_urls import ImageUrls
from api.limits import LoginLimits, RefreshLimits, SearchLimits
from api.live_model import LiveModel
from api.metrics import ApiMetrics
from api.operations import Operations
from api.pictures import Pictures
from api.revocations import Revocations
from api.search import Search
from api.sessions import Sessions
from api.vectors import QueryVectors
from api.vocabulary import Vocabulary
from catalog.objects import DirectoryStore
from core.settings import Settings
from security.links import PictureLinks
from security.signing_keys import SigningKeys
from security.tokens import AccessTokens
from server.overview import Overview
from tests.unit.api.fakes import (
    PASSWORD_HASH,
    READER,
    SCRAPER_TOKEN,
    SEARCHES_PER_MINUTE,
    FakeEncoder,
    FakeIndex,
    FakePictures,
    FakeReader,
    FakeRows,
    FakeValkey,
    Parts,
)
from tests.unit.api.operating import FakeDeeds, FakeModels, FakeTrail
from tests.unit.api.own import FakeBucket, FakeOwnRows, FakeUnpublished
from tests.unit.api.sessions import FakeAudit, FakeFamilies, FakeMachines


@pytest.fixture(scope="session")
def signing_keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    return SigningKeys.open(tmp_path_factory.mktemp("signing"))


@pytest.fixture
def parts(signing_keys: SigningKeys, tmp_path: Path) -> Parts:
    files, valkey, encoder = FakeRows(), FakeValkey(), FakeEncoder()
    index = FakeIndex(files)
    files.put_user("ana", PASSWORD_HASH, ["reader"])
    files.put_user("nadie", PASSWORD_HASH, [])
    tokens = AccessTokens(signing_keys)
    families, audit, machines = FakeFamilies(files.user, files.ping), FakeAudit(), FakeMachines()
    revocations = Revocations(families.revoked, poll_s=0.01)
    sessions = Sessions(families, revocations, RefreshLimits(valkey), tokens)
    model = LiveModel(index.live, lambda version: replace(encoder, space=version.id), poll_s=0.01)
    metrics = ApiMetrics()
    vectors, own, bucket = QueryVectors(valkey, metrics), FakeOwnRows(index), FakeBucket()
    shelf = EncoderShelf(model, lambda version: replace(encoder, space=version.id))
    catching_up = CatchingUp(model, vectors, own, bucket.picture)
    checkpoints, models, trail, deeds = DirectoryStore(tmp_path / "checkpoints"), FakeModels(), FakeTrail(), FakeDeeds()
    overview = Overview(store=lambda: checkpoints, registry=lambda: models, indexes=index, trail=trail)
    services = Services(
        logins=Logins(files, LoginLimits(valkey), sessions, audit),
        machine_logins=MachineLogins(machines, LoginLimits(valkey), tokens, audit),
        sessions=sessions,
        files=files,
        vocabulary=Vocabulary(files),
        search=Search(model, vectors, index, files, metrics),
        pictures=Pictures(files, FakePictures(bucket.objects)),
        curating=Curating(model, vectors, own, FakeUnpublished(own), lambda: bucket, catching_up.soon),
        catching_up=catching_up,
        image_urls=ImageUrls(PictureLinks(b"a key for tests" * 3), {"client-aurora": FakeReader()}, lambda: (READER,)),
        readiness=Readiness({"database": files.ping, "search": model.missing}),
        operations=Operations(Settings(_env_file=None), lambda: overview, deeds),
        search_limits=SearchLimits(valkey, SEARCHES_PER_MINUTE),
        comparison=Comparison(shelf, vectors, index, files),
        metrics=metrics,
        metrics_token=SCRAPER_TOKEN,
    )
    return Parts(
        files,
        index,
        encoder,
        valkey,
        tokens,
        services,
        checkpoints,
        models,
        trail,
        deeds,
        own,
        bucket,
        families,
        audit,
        machines,
    )


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
def operator(anonymous: TestClient, parts: Parts) -> TestClient:
    """A client that bears an operator's token."""
    anonymous.headers["Authorization"] = f"Bearer {parts.tokens.issue('olga', ['operator'])}"
    return anonymous


@pytest.fixture
def client(anonymous: TestClient, parts: Parts) -> TestClient:
    """A client that bears a reader's token."""
    anonymous.headers["Authorization"] = f"Bearer {parts.tokens.issue('ana', ['reader'])}"
    return anonymous


@pytest.fixture
def curator(app: FastAPI, client: TestClient, parts: Parts) -> Iterator[TestClient]:
    """Beside the reader, one that bears the token of aurora's curator."""
    token = parts.tokens.issue("luz", ["curator"], client="aurora")
    curator = TestClient(app, raise_server_exceptions=False, headers={"Authorization": f"Bearer {token}"})
    yield curator
    curator.close()
