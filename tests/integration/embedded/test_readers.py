"""The users who sign pictures' URLs may read single pictures, and nothing else of the store that holds them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from catalog.errors import CatalogError
from catalog.objects import S3ObjectStore
from catalog.presigning import Presigner
from core.settings import Bucket
from embedded.layout import Parts
from embedded.stack import Stack

pytestmark = pytest.mark.integration
STORES = Parts(mlflow=False, airflow=False, federation=False, api=False)
PICTURE = b"\xff\xd8\xff a picture"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("readers"), ["aurora", "boreal"], parts=STORES) as running:
        client = S3ObjectStore(_client(running, "aurora"))
        client.put("published/7-abc.jpg", PICTURE)
        client.put("partitions/v1/part-0.parquet", b"every photo")
        S3ObjectStore(running.settings().platform_bucket("data")).put("curated/8.jpg", PICTURE)
        S3ObjectStore(running.settings().platform_bucket("checkpoints")).put("run/state", b"a model")
        yield running


def _client(stack: Stack, name: str) -> Bucket:
    settings = stack.client_settings(name)
    return settings.platform_bucket(settings.required("client_bucket"))


def _reader(stack: Stack, bucket: str) -> Bucket:
    entries = json.loads(Path(str(stack.settings().readers_file)).read_text())
    return next(Bucket(**entry) for entry in entries if entry["bucket"] == bucket)


@pytest.mark.parametrize(("bucket", "key"), [("client-aurora", "published/7-abc.jpg"), ("data", "curated/8.jpg")])
def test_a_signed_url_opens_one_picture_in_a_browser(stack: Stack, bucket: str, key: str) -> None:
    url = Presigner(_reader(stack, bucket)).url(key, valid_s=300)
    assert "X-Amz-Expires=300" in url
    assert httpx.get(url).content == PICTURE
    assert httpx.put(url, content=b"another").status_code == 403
    assert httpx.delete(url).status_code == 403
    assert httpx.get(url.replace("Expires=300", "Expires=3000")).status_code == 403
    assert httpx.get(url.split("?")[0]).status_code in (401, 403)


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        ("client-aurora", "partitions/v1/part-0.parquet"),
        ("client-aurora", "published/"),
        ("client-aurora", "published/../partitions/v1/part-0.parquet"),
        ("checkpoints", "run/state"),
    ],
)
def test_no_url_that_a_reader_signs_opens_anything_else(stack: Stack, bucket: str, key: str) -> None:
    reader = _reader(stack, "data" if bucket == "checkpoints" else bucket).model_copy(update={"bucket": bucket})
    answer = httpx.get(Presigner(reader).url(key, valid_s=300))
    assert answer.status_code in (400, 403)
    assert b"photo" not in answer.content


def test_a_reader_lists_and_writes_nothing(stack: Stack) -> None:
    store = S3ObjectStore(_reader(stack, "client-aurora"))
    assert store.get("published/7-abc.jpg") == PICTURE
    for attempt in (
        lambda: list(store.list("")),
        lambda: store.put("published/8.jpg", b"mine"),
        lambda: store.delete("published/7-abc.jpg"),
        lambda: store.get("manifest.json"),
    ):
        with pytest.raises(CatalogError, match="refused"):
            attempt()
    assert store.get("published/7-abc.jpg") == PICTURE


def test_one_client_s_reader_opens_nothing_of_another(stack: Stack) -> None:
    mine, others = _reader(stack, "client-aurora"), _reader(stack, "client-boreal")
    stolen = others.model_copy(update={"access_key": mine.access_key, "secret_key": mine.secret_key})
    assert httpx.get(Presigner(stolen).url("published/1.jpg", valid_s=60)).status_code == 403
