"""The local object store keeps whole objects, below its root only."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from catalog.errors import KeyInvalid, ObjectMissing, StorageUnreachable
from catalog.objects import DirectoryStore, S3ObjectStore, delete_all, get_or_none
from core.settings import Bucket


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "bucket")


def test_what_is_put_can_be_got_listed_and_deleted(store: DirectoryStore) -> None:
    store.put("b/2", b"two")
    store.put("b/1", b"one")
    store.put("a", b"zero")
    assert store.get("b/1") == b"one"
    assert list(store.list("b/")) == ["b/1", "b/2"]
    assert list(store.list("")) == ["a", "b/1", "b/2"]
    delete_all(store, "b/")
    assert not store.exists("b/1")
    store.delete("b/1")
    assert store.exists("a")


def test_files_go_up_and_down(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(b"x" * 1000)
    store.upload(tmp_path / "up", "deep/key.bin")
    store.download("deep/key.bin", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == b"x" * 1000


def test_only_a_missing_object_is_none(store: DirectoryStore) -> None:
    store.put("a", b"")
    assert get_or_none(store, "a") == b""
    assert get_or_none(store, "b") is None
    with pytest.raises(KeyInvalid):
        get_or_none(store, "../a")
    dead = Bucket(endpoint="http://127.0.0.1:9", access_key="k", secret_key="s", bucket="b")
    with pytest.raises(StorageUnreachable):
        get_or_none(S3ObjectStore(dead), "a")


def test_a_missing_object_is_named(store: DirectoryStore, tmp_path: Path) -> None:
    store.put("folder/object", b"")
    for key in ("nothing", "folder"):
        with pytest.raises(ObjectMissing, match=f"{key} does not exist"):
            store.get(key)
        with pytest.raises(ObjectMissing, match=f"{key} does not exist"):
            store.download(key, tmp_path / "down")
        assert not store.exists(key)


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a\\b", "a\nb", ".", "a/./b"])
def test_a_key_cannot_leave_the_store(store: DirectoryStore, key: str) -> None:
    with pytest.raises(KeyInvalid):
        store.put(key, b"x")


def test_a_dead_endpoint_is_named_with_its_bucket() -> None:
    bucket = Bucket(endpoint="http://127.0.0.1:9", access_key="k", secret_key="s", bucket="data")
    with pytest.raises(StorageUnreachable, match=r"The bucket data at http://127.0.0.1:9 did not answer"):
        S3ObjectStore(bucket).get("x")


PUT = b"whole"
MD5_ETAG = f'"{hashlib.md5(PUT, usedforsecurity=False).hexdigest()}"'


@contextmanager
def _serving(*first: bytes, headers: Mapping[str, str] | None = None) -> Iterator[S3ObjectStore]:
    """A bucket whose server gives the bodies of ``first`` before the one that was put, all with its length."""
    bodies = [*reversed(first)]

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in {"Content-Length": "5", "ETag": MD5_ETAG, **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(bodies.pop() if bodies else PUT)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{server.server_address[1]}"
            yield S3ObjectStore(Bucket(endpoint=endpoint, access_key="key", secret_key="secret", bucket="data"))
        finally:
            server.shutdown()
            thread.join()


# What breaks off, and what is the start of a longer object that took this one's place after the headers.
@pytest.mark.parametrize("body", [b"who", b"longe"])
def test_a_body_that_is_not_what_was_put_is_asked_for_again(tmp_path: Path, body: bytes) -> None:
    with _serving(body, body) as store:
        assert store.get("key") == PUT
    with _serving(body, body) as store:
        store.download("key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == PUT


@pytest.mark.parametrize("body", [b"who", b"longe"])
def test_a_body_that_is_never_what_was_put_is_an_error(body: bytes) -> None:
    with _serving(*[body] * 5) as store, pytest.raises(StorageUnreachable, match="data"):
        store.get("key")


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": MD5_ETAG[:-1] + '-2"'},
        {"ETag": '""'},
        {"x-amz-server-side-encryption": "aws:kms"},
        {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
    ],
)
def test_an_etag_that_is_no_md5_of_the_body_says_nothing(headers: dict[str, str]) -> None:
    with _serving(b"other", headers=headers) as store:
        assert store.get("key") == b"other"


def test_what_s3_encrypts_with_its_own_key_is_held_to_its_md5() -> None:
    with _serving(b"other", headers={"x-amz-server-side-encryption": "AES256"}) as store:
        assert store.get("key") == PUT
