"""Readers that come, go and get other keys while the API runs."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.headers import SecurityHeaders
from api.image_urls import ImageUrls
from api.readers import FollowedReaders
from core.following import LOOK_EVERY_S
from core.settings import Bucket, Settings, SettingsError
from embedded.environments import write_buckets
from security.links import PictureLinks

DUNA = "s3://client-duna/published/7-ab.jpg"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reader(name: str, key: str = "key") -> Bucket:
    port = 9000 + len(name)
    return Bucket(
        endpoint=f"http://127.0.0.1:{port}", bucket=f"client-{name}", access_key=key, secret_key=SecretStr("s" * 40)
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "readers.json"
    write_buckets(path, [reader("aurora")])
    return path


def test_a_client_that_comes_is_shown_within_a_second_and_one_that_goes_is_not(file: Path) -> None:
    clock = Clock()
    readers = FollowedReaders(Settings(_env_file=None, readers_file=file), clock=clock)
    urls = ImageUrls(PictureLinks(b"k" * 32), readers, readers.origins, now=lambda: 1_000_000_000.0)
    aurora = readers["client-aurora"]
    assert urls.of(7, DUNA) is None
    write_buckets(file, [reader("aurora"), reader("duna", "first")])
    assert urls.of(7, DUNA) is None
    clock.now += LOOK_EVERY_S
    assert (first := urls.of(7, DUNA))
    assert urlsplit(first).netloc == "127.0.0.1:9004"
    assert "first%2F" in first
    assert list(readers.origins()) == ["http://127.0.0.1:9004", "http://127.0.0.1:9006"]
    assert readers["client-aurora"] is aurora
    # What was signed before is not remembered for whoever has other keys now.
    write_buckets(file, [reader("aurora"), reader("duna", "second")])
    clock.now += LOOK_EVERY_S
    assert "second%2F" in (urls.of(7, DUNA) or "")
    write_buckets(file, [reader("aurora")])
    clock.now += LOOK_EVERY_S
    assert urls.of(7, DUNA) is None
    assert set(readers) == {"client-aurora"}


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"bucket": "client-duna"}]'])
def test_a_file_that_cannot_be_read_leaves_the_readers_of_before(file: Path, text: str) -> None:
    clock, settings = Clock(), Settings(_env_file=None, readers_file=file)
    readers = FollowedReaders(settings, clock=clock)
    file.write_text(text)
    clock.now += LOOK_EVERY_S
    assert set(readers) == {"client-aurora"}
    with pytest.raises(SettingsError):
        FollowedReaders(settings)
    file.unlink()
    clock.now += LOOK_EVERY_S
    assert set(readers) == {"client-aurora"}
    write_buckets(file, [reader("duna")])
    clock.now += LOOK_EVERY_S
    assert set(readers) == {"client-duna"}


def test_nobody_signs_where_no_file_is_named() -> None:
    readers = FollowedReaders(Settings(_env_file=None))
    assert (len(readers), list(readers.origins())) == (0, [])


def test_the_page_s_policy_names_where_pictures_are_now() -> None:
    app, origins = FastAPI(docs_url=None), ["http://127.0.0.1:9006"]
    app.add_middleware(SecurityHeaders, pictures=lambda: origins)
    client = TestClient(app)

    def policy(path: str) -> str:
        return client.get(path).headers["content-security-policy"]

    assert "img-src 'self' http://127.0.0.1:9006 blob:" in policy("/")
    origins.append("http://127.0.0.1:9004")
    assert "img-src 'self' http://127.0.0.1:9006 http://127.0.0.1:9004 blob:" in policy("/")
    assert "127.0.0.1" not in policy("/healthz")
    assert json.dumps(policy("/elsewhere")).count("'none'") == 4
