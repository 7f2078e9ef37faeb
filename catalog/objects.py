"""Objects by key: in an S3 bucket, or in a folder where no S3 is needed (simulation, tests)."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import boto3
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from catalog.bodies import pieces, read_again
from catalog.errors import KeyInvalid, ObjectMissing, StorageRefused, StorageUnreachable
from core.files import write_atomically
from core.settings import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Three tries over a few seconds ride out a restart; longer would look like a hang.
CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    connect_timeout=5,
    read_timeout=30,
    retries={"total_max_attempts": 3, "mode": "standard"},
    # Checksum trailers are newer than many S3 servers; shards carry a SHA-256 of their own.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
TRANSFER = TransferConfig(multipart_threshold=32 * 2**20, multipart_chunksize=16 * 2**20, max_concurrency=2)
NOT_THERE = {"404", "NoSuchKey", "NotFound"}
OURS_ALREADY = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
SAFE_KEY = re.compile(r"(?!.*(?:^|/)\.\.?(?:/|$))(?!.*//)[A-Za-z0-9_.=-][A-Za-z0-9_.=/-]{0,1000}(?<!/)")


class ObjectStore(Protocol):
    """Where shards, manifests and checkpoints lie. A put is seen whole or not at all."""

    @property
    def name(self) -> str:
        """The bucket's name, for people."""

    def url(self, key: str) -> str:
        """Where ``key`` is, as a URL; nothing secret in it."""

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``, in place of what was there."""

    def get(self, key: str) -> bytes:
        """All bytes of ``key``; ObjectMissing when there is none."""

    def upload(self, path: Path, key: str) -> None:
        """Keep a file's bytes under ``key`` without holding them in memory."""

    def download(self, key: str, path: Path) -> None:
        """Write the bytes of ``key`` to ``path`` without holding them in memory; ObjectMissing when there is none."""

    def exists(self, key: str) -> bool:
        """Whether there is an object under ``key``."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with ``prefix``, sorted."""

    def delete(self, key: str) -> None:
        """Remove ``key``; no error when there is none."""


def delete_all(store: ObjectStore, prefix: str) -> None:
    """Remove every object whose key begins with ``prefix``."""
    for key in list(store.list(prefix)):
        store.delete(key)


def get_or_none(store: ObjectStore, key: str) -> bytes | None:
    """All bytes of ``key``, or None when there is none."""
    try:
        return store.get(key)
    except ObjectMissing:
        return None


def _checked(key: str) -> str:
    """``key``, or KeyInvalid when it could leave its store."""
    if not SAFE_KEY.fullmatch(key):
        raise KeyInvalid(f"{key!r} is no object key.", hint="Keys are letters, digits, '_.=-' and single slashes.")
    return key


def _missing(key: str, where: str) -> ObjectMissing:
    return ObjectMissing(f"{key} does not exist in {where}.", hint="Load the catalogue first: `tejido catalog load`.")


class DirectoryStore:
    """Objects as files below ``root``, each written whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.root.name

    def url(self, key: str) -> str:
        """``file://`` URL of ``key``."""
        return f"{self.root.resolve().as_uri()}/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``."""
        write_atomically(self._path(key), data)

    def get(self, key: str) -> bytes:
        """All bytes of ``key``."""
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise _missing(key, str(self.root)) from None

    def upload(self, path: Path, key: str) -> None:
        """Copy a file to ``key``."""
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as partial:
            copy = Path(partial.name)
        try:
            shutil.copyfile(path, copy)
            copy.replace(target)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise

    def download(self, key: str, path: Path) -> None:
        """Copy ``key`` to a file."""
        try:
            shutil.copyfile(self._path(key), path)
        except (FileNotFoundError, IsADirectoryError):
            raise _missing(key, str(self.root)) from None

    def exists(self, key: str) -> bool:
        """Whether there is an object under ``key``."""
        return self._path(key).is_file()

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with ``prefix``, sorted."""
        # Names that begin with a dot are writes in progress.
        files = (f for f in self.root.rglob("*") if f.is_file() and not f.name.startswith("."))
        yield from sorted(key for f in files if (key := f.relative_to(self.root).as_posix()).startswith(prefix))

    def delete(self, key: str) -> None:
        """Remove ``key``."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.root / _checked(key)


class S3ObjectStore:
    """Objects of one bucket, by keys that open this bucket only. Safe to share between threads."""

    # Making a client reads megabytes of service descriptions: one session shares them. Its factory is not thread-safe.
    _session = boto3.session.Session()
    _lock = threading.Lock()

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        with self._lock:
            self._s3: S3Client = self._session.client(
                "s3",
                endpoint_url=bucket.endpoint,
                aws_access_key_id=bucket.access_key,
                aws_secret_access_key=bucket.secret_key.get_secret_value(),
                region_name=bucket.region,
                config=CONFIG,
            )

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self.bucket.bucket

    def url(self, key: str) -> str:
        """``s3://`` URL of ``key``."""
        return f"s3://{self.bucket.bucket}/{key}"

    def ensure_bucket(self) -> None:
        """Make the bucket unless it is there."""
        try:
            with self._translated(""):
                self._s3.create_bucket(Bucket=self.name)
        except StorageRefused as error:
            if not isinstance(error.__cause__, ClientError) or _error_code(error.__cause__) not in OURS_ALREADY:
                raise

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``."""
        with self._translated(key):
            self._s3.put_object(Bucket=self.name, Key=_checked(key), Body=data)

    def get(self, key: str) -> bytes:
        """All bytes of ``key``."""
        with self._translated(key):
            return self._read(_checked(key))

    def upload(self, path: Path, key: str) -> None:
        """Send a file, in parts when it is large."""
        with self._translated(key):
            self._s3.upload_file(str(path), self.name, _checked(key), Config=TRANSFER)

    def download(self, key: str, path: Path) -> None:
        """Fetch into a file, a piece at a time."""
        with self._translated(key):
            self._fetch(_checked(key), path)

    def exists(self, key: str) -> bool:
        """Whether there is an object under ``key``."""
        try:
            with self._translated(key):
                self._s3.head_object(Bucket=self.name, Key=_checked(key))
        except ObjectMissing:
            return False
        return True

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with ``prefix``, sorted (S3 lists in that order)."""
        with self._translated(prefix):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                yield from (entry["Key"] for entry in page.get("Contents", []))

    def delete(self, key: str) -> None:
        """Remove ``key``."""
        with self._translated(key):
            self._s3.delete_object(Bucket=self.name, Key=_checked(key))

    @read_again
    def _read(self, key: str) -> bytes:
        return b"".join(pieces(self._s3.get_object(Bucket=self.name, Key=key)))

    @read_again
    def _fetch(self, key: str, path: Path) -> None:
        # boto's download_file asks for a range beyond the end of small objects, which not every S3 server forgives.
        answer = self._s3.get_object(Bucket=self.name, Key=key)
        with path.open("wb") as file:
            for piece in pieces(answer):
                file.write(piece)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Turn boto's errors into ours, each naming endpoint, bucket and key."""
        where = f"bucket {self.name} at {self.bucket.endpoint}"
        try:
            yield
        except ClientError as error:
            if _error_code(error) in NOT_THERE:
                raise _missing(key, where) from error
            raise self._refused(error, f"The {where} refused {key or 'to be made'}") from error
        except S3UploadFailedError as error:
            raise self._refused(error, f"The {where} refused {key}") from error
        except BotoCoreError as error:
            raise StorageUnreachable(
                f"The {where} did not answer ({type(error).__name__}).",
                hint="Is the object store running? `tejido doctor` looks.",
            ) from error

    @staticmethod
    def _refused(error: Exception, what: str) -> StorageRefused:
        return StorageRefused(f"{what}: {error}.", hint="Check the keys of this bucket.")


def _error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
