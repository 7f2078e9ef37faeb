"""Whose buckets they are, and what a thief tries on one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from core.settings import Bucket

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CLIENTS = ("aurora", "boreal", "cobre")
PLATFORM = "platform"
FILE = "TEJIDO_ATTACKED_CLIENTS_FILE"
KEY = "partitions/secret.parquet"
SECRET = b"photos and titles that never leave"
REFUSED = (400, 401, 403)
"""400: a server that has refused a body unread takes what follows on the same connection for that body."""
OPTIONS = {
    "s3": {"addressing_style": "path"},
    "retries": {"total_max_attempts": 1},
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}


def attacked_buckets() -> dict[str, Bucket]:
    """Owner → its bucket with its own keys, of the file that the environment names; nothing where it names none."""
    named = os.environ.get(FILE)
    return {entry["name"]: Bucket(**entry) for entry in json.loads(Path(named).read_text())} if named else {}


OWNERS = tuple(attacked_buckets()) or (*CLIENTS, PLATFORM)
HTTP = httpx.Client(timeout=30)
# Making a session reads megabytes of service descriptions.
SESSION = boto3.session.Session()


@cache
def connected(bucket: Bucket, *, anonymous: bool = False) -> S3Client:
    """A client of S3 with these keys, or with none."""
    signature = UNSIGNED if anonymous else "s3v4"
    return SESSION.client(
        "s3",
        endpoint_url=bucket.endpoint,
        aws_access_key_id=None if anonymous else bucket.access_key,
        aws_secret_access_key=None if anonymous else bucket.secret_key.get_secret_value(),
        region_name=bucket.region,
        config=Config(signature_version=signature, **OPTIONS),  # type: ignore[arg-type]
    )


@dataclass(frozen=True)
class Thief:
    """Somebody's keys at somebody's door."""

    keys: Bucket
    target: Bucket
    s3: S3Client

    @property
    def bucket(self) -> str:
        """What is to be opened."""
        return self.target.bucket

    def presigned(self, method: str, **more: str) -> httpx.Response:
        """Use a URL that the thief has signed."""
        url = self.s3.generate_presigned_url(method, {"Bucket": self.bucket, "Key": KEY, **more}, ExpiresIn=300)
        verb = {"get_object": "GET", "put_object": "PUT", "delete_object": "DELETE"}[method]
        return HTTP.request(verb, url, content=b"stolen" if verb == "PUT" else None)

    def raw(self, method: str, path: str, **headers: str) -> httpx.Response:
        """A signed request for ``path`` exactly as it is written; libraries tidy paths up."""
        request = AWSRequest(method, f"{self.target.endpoint}{path}", headers=headers, data=b"")
        credentials = Credentials(self.keys.access_key, self.keys.secret_key.get_secret_value())
        SigV4Auth(credentials, "s3", self.keys.region).add_auth(request)
        host = self.target.endpoint.removeprefix("http://").removeprefix("https://")
        url = httpx.URL(self.target.endpoint).copy_with(raw_path=path.encode())
        return HTTP.send(httpx.Request(method, url, headers={**dict(request.headers), "Host": host}))


def _list(thief: Thief) -> object:
    return thief.s3.list_objects_v2(Bucket=thief.bucket)


def _list_of_old(thief: Thief) -> object:
    return thief.s3.list_objects(Bucket=thief.bucket)


def _head_bucket(thief: Thief) -> object:
    return thief.s3.head_bucket(Bucket=thief.bucket)


def _get(thief: Thief) -> object:
    return thief.s3.get_object(Bucket=thief.bucket, Key=KEY)["Body"].read()


def _range(thief: Thief) -> object:
    return thief.s3.get_object(Bucket=thief.bucket, Key=KEY, Range="bytes=0-3")["Body"].read()


def _head(thief: Thief) -> object:
    return thief.s3.head_object(Bucket=thief.bucket, Key=KEY)


def _put(thief: Thief) -> object:
    return thief.s3.put_object(Bucket=thief.bucket, Key=f"{KEY}.new", Body=b"stolen")


def _overwrite(thief: Thief) -> object:
    return thief.s3.put_object(Bucket=thief.bucket, Key=f"{KEY}.old", Body=b"stolen")


def _copy_inside(thief: Thief) -> object:
    return thief.s3.copy_object(Bucket=thief.bucket, Key=f"{KEY}.copy", CopySource={"Bucket": thief.bucket, "Key": KEY})


def _multipart(thief: Thief) -> object:
    upload = thief.s3.create_multipart_upload(Bucket=thief.bucket, Key=f"{KEY}.parts")["UploadId"]
    part = thief.s3.upload_part(Bucket=thief.bucket, Key=f"{KEY}.parts", UploadId=upload, PartNumber=1, Body=b"x")
    return thief.s3.complete_multipart_upload(
        Bucket=thief.bucket,
        Key=f"{KEY}.parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )


def _delete(thief: Thief) -> object:
    return thief.s3.delete_object(Bucket=thief.bucket, Key=f"{KEY}.old")


def _delete_many(thief: Thief) -> object:
    return thief.s3.delete_objects(Bucket=thief.bucket, Delete={"Objects": [{"Key": f"{KEY}.copy"}]})


def _presign(method: str) -> Callable[[Thief], object]:
    def use(thief: Thief) -> object:
        answer = thief.presigned(method, **({"Key": f"{KEY}.link"} if method != "get_object" else {}))
        return answer.raise_for_status()

    return use


DEEDS: dict[str, Callable[[Thief], object]] = {
    "list": _list,
    "list as of old": _list_of_old,
    "head of the bucket": _head_bucket,
    "get": _get,
    "get of a range": _range,
    "head": _head,
    "put": _put,
    "overwrite": _overwrite,
    "copy": _copy_inside,
    "multipart": _multipart,
    "delete": _delete,
    "delete many": _delete_many,
    "presigned get": _presign("get_object"),
    "presigned put": _presign("put_object"),
    "presigned delete": _presign("delete_object"),
}
"""In an order in which each works for the owner."""


def is_refused(deed: Callable[[Thief], object], thief: Thief) -> bool:
    """Whether it fails for want of permission, and not because nothing is there."""
    try:
        deed(thief)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] in REFUSED
    except httpx.HTTPStatusError as error:
        return error.response.status_code in REFUSED
    return False
