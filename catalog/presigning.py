"""URLs that open one object for some minutes, signed with keys that may read it and do nothing else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import boto3

from catalog.objects import CONFIG

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from core.settings import Bucket

_making = threading.Lock()


class Presigner:
    """Signs for one bucket. It asks nobody: whether an object is there, the URL's reader finds out.

    Args:
        bucket: its endpoint is the one that readers' browsers reach; its keys are a read-only user's.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._s3: S3Client | None = None

    def url(self, key: str, *, valid_s: int) -> str:
        """A GET of ``key`` that is refused after ``valid_s`` seconds."""
        return self._client().generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket.bucket, "Key": key}, ExpiresIn=valid_s, HttpMethod="GET"
        )

    def _client(self) -> S3Client:
        # At the first URL: it takes memory, and many an API signs none.
        with _making:
            if self._s3 is None:
                self._s3 = boto3.session.Session().client(
                    "s3",
                    endpoint_url=self._bucket.endpoint,
                    aws_access_key_id=self._bucket.access_key,
                    aws_secret_access_key=self._bucket.secret_key.get_secret_value(),
                    region_name=self._bucket.region,
                    config=CONFIG,
                )
            return self._s3
